'use strict';

/** A UDP socket that sends to another, and what is known of the datagrams between them. */

const { UDP } = require('../../../bindings/node');

const HOST = '127.0.0.1';
/** How a send ends that a close cut off, or whose receiver is gone. */
const BROKEN = new Set(['ECANCELED', 'ECONNREFUSED', 'ERR_FERRULE_CLOSED', 'EALREADY']);

class Datagrams {
  #sent = 0;
  #last = -1;
  #waiting = 0;
  #closed = { sender: 0, receiver: 0 };
  #connected = false;

  constructor(world, name) {
    this.world = world;
    this.name = name;
    this.sender = new UDP();
    this.receiver = new UDP().bind(HOST, 0).startReceiving();
    this.to = this.receiver.getsockname().port;
    this.receiver.on('message', (data, info) => {
      const number = data.readUInt32LE(0);
      const fits = data.length === info.size && number < this.#sent && data.every((byte, at) => at < 4 || byte === (number & 0xff));
      world.check(fits, `${name}: a datagram that was not sent`);
      world.check(number > this.#last, `${name}: datagram ${number} after ${this.#last}`);
      world.check(this.#closed.receiver === 0, `${name}: a datagram after 'close'`);
      this.#last = number;
    });
    for (const which of ['sender', 'receiver']) {
      this[which].on('error', (error) => world.allow(error, BROKEN, `${name}, ${which}`));
      this[which].on('close', () => { this.#closed[which] += 1; });
    }
    world.add(this);
  }

  step() {
    const call = this.world.random.weighted({ send: 20, trySend: 10, stop: 3, start: 5, connect: 1, hold: 2, look: 2, close: 0.5 });
    this.world.note(`${this.name} ${call}`);
    try {
      this[call]();
    } catch (error) {
      this.world.allow(error, BROKEN, `${this.name} ${call}`);
    }
  }

  #next() {
    const data = Buffer.alloc(this.world.random.integer(4, 2000), this.#sent & 0xff);
    data.writeUInt32LE(this.#sent, 0);
    this.#sent += 1;
    return data;
  }

  send() {
    if (this.sender.destroyed) return;
    const data = this.#next();
    const target = this.#connected ? [] : [this.to];
    let called = false;
    const callback = (error) => {
      this.world.check(!called, `${this.name}: a callback twice`);
      called = true;
      this.#waiting -= 1;
      if (error !== null) this.world.allow(error, BROKEN, `${this.name} send`);
    };
    this.#waiting += 1;
    try {
      this.sender.send(data, ...target, callback);
    } catch (error) {
      this.#waiting -= 1;
      throw error;
    }
  }

  trySend() {
    if (this.sender.destroyed) return;
    this.sender.trySend(this.#next(), ...(this.#connected ? [] : [this.to]));
  }

  stop() {
    this.receiver.stopReceiving();
  }

  start() {
    this.receiver.startReceiving();
  }

  connect() {
    if (this.#connected) this.sender.disconnect();
    else this.sender.connect(this.to);
    this.#connected = !this.#connected;
  }

  hold() {
    this.world.check(this.sender.unref().ref().hasRef() || this.sender.destroyed, `${this.name}: no ref`);
  }

  look() {
    if (!this.receiver.destroyed) this.world.check(this.receiver.fileno() >= 0, `${this.name}: fileno`);
  }

  close() {
    this.world.random.pick([this.sender, this.receiver]).close();
  }

  async finish() {
    await Promise.all([this.sender, this.receiver].map((socket) => new Promise((resolve) => {
      if (this.#closed[socket === this.sender ? 'sender' : 'receiver'] > 0) resolve();
      else socket.close(resolve);
    })));
  }

  verify() {
    this.world.check(this.#waiting === 0, `${this.name}: ${this.#waiting} callbacks are missing`);
    this.world.check(this.#closed.sender === 1 && this.#closed.receiver === 1, `${this.name}: ${JSON.stringify(this.#closed)}`);
  }
}

async function makeDatagrams(world) {
  world.names += 1;
  new Datagrams(world, `datagrams ${world.names}`);
}

module.exports = { makeDatagrams };
