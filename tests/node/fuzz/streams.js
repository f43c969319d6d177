'use strict';

/** Two streams that are connected with each other, and what is known of the bytes between them. */

const fs = require('node:fs');
const { Pipe, TCP } = require('../../../bindings/node');

/** How a stream ends when its peer, or itself, was cut off. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECANCELED', 'ENOTCONN', 'ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED']);
/** What a stream that is over throws. */
const OVER = new Set(['ERR_FERRULE_CLOSED', 'ENOTCONN', 'EPIPE', 'ECONNRESET', 'EINVAL', 'ENOTSUP']);

/** Whether a Duplex that is destroyed forgets the callbacks of writes that waited in it, as Node's own sockets do. */
const FORGETS = process.versions.node.startsWith('18.');

/** The bytes of a stream from `at` on. */
function content(at, size) {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i += 1) bytes[i] = ((at + i) ^ ((at + i) >> 8) ^ ((at + i) >> 16)) & 0xff;
  return bytes;
}

class StreamSide {
  events = { end: 0, finish: 0, error: 0, close: 0 };
  /** Bytes that were given to be written, and that were read. */
  written = 0;
  read = 0;
  passed = 0;
  accepted = 0;
  /** Callbacks of writes that have not come. */
  #waiting = 0;
  #ended = false;
  #closed;

  constructor(couple, name, stream) {
    this.couple = couple;
    this.world = couple.world;
    this.name = name;
    this.stream = stream;
    this.#closed = new Promise((resolve) => { stream.once('close', resolve); });
    for (const event of ['end', 'finish', 'close']) {
      stream.on(event, () => {
        this.events[event] += 1;
        this.world.check(this.events[event] === 1, `${name}: '${event}' twice`);
        this.world.check(event === 'close' || this.events.close === 0, `${name}: '${event}' after 'close'`);
      });
    }
    stream.on('error', (error) => {
      this.events.error += 1;
      this.world.check(couple.violent && this.events.close === 0, `${name}: error ${error.code} without a reason`);
      this.world.allow(error, BROKEN, name);
    });
    stream.on('data', (data) => {
      this.world.check(data.equals(content(this.read, data.length)), `${name}: wrong bytes at ${this.read}`);
      this.read += data.length;
    });
    if (stream.ipc) {
      stream.on('handle', (kind) => {
        this.world.check(kind === 'other', `${name}: a handle of the kind ${kind}`);
        fs.closeSync(stream.acceptFd());
        this.accepted += 1;
      });
    }
  }

  get over() {
    return this.events.close > 0;
  }

  step() {
    const { random } = this.world;
    const call = random.weighted({
      write: 30, tryWrite: 5, pause: 6, resume: 12, cork: 2, uncork: 4, look: 4, hold: 2, end: 1, destroy: 0.5,
      pass: this.stream.ipc && !this.world.careful ? 8 : 0,
    });
    this.world.note(`${this.name} ${call}`);
    this[call]();
  }

  get #writable() {
    return !this.#ended && this.stream.writable;
  }

  /** The callback of a write: comes once. */
  #callback(what) {
    this.#waiting += 1;
    let called = false;
    return (error) => {
      this.world.check(!called, `${this.name}: the callback of ${what} twice`);
      called = true;
      this.#waiting -= 1;
      if (error) {
        this.world.check(this.couple.violent, `${this.name}: ${what} ${error.code} without a reason`);
        this.world.allow(error, BROKEN, `${this.name} ${what}`);
      }
    };
  }

  write() {
    if (!this.#writable) return;
    const size = this.world.random.size();
    this.stream.write(content(this.written, size), this.#callback('write'));
    this.written += size;
  }

  tryWrite() {
    if (!this.#writable) return;
    try {
      this.written += this.stream.tryWrite(content(this.written, this.world.random.size()));
    } catch (error) {
      this.world.check(this.couple.violent, `${this.name}: tryWrite ${error.code} without a reason`);
      this.world.allow(error, OVER, `${this.name} tryWrite`);
    }
  }

  pass() {
    if (!this.#writable) return;
    const fd = fs.openSync('/dev/null');
    const callback = this.#callback('writeHandle');
    this.stream.writeHandle(content(this.written, 9), fd, (error) => {
      fs.closeSync(fd);
      callback(error);
    });
    this.written += 9;
    this.passed += 1;
  }

  pause() {
    this.stream.pause();
  }

  resume() {
    this.stream.resume();
  }

  cork() {
    this.stream.cork();
  }

  uncork() {
    this.stream.uncork();
  }

  hold() {
    this.stream.unref().ref();
  }

  look() {
    const { stream } = this;
    this.world.check(stream.bytesRead >= this.read, `${this.name}: bytesRead`);
    for (const ask of [() => stream.fileno(), () => stream.getpeername(), () => stream.writeQueueSize, () => stream.sendBufferSize]) {
      try {
        ask();
      } catch (error) {
        this.world.allow(error, OVER, `${this.name} look`);
      }
    }
  }

  end() {
    if (!this.#writable) return;
    this.#ended = true;
    while (this.stream.writableCorked > 0) this.stream.uncork();
    this.stream.end();
  }

  destroy() {
    this.couple.violent = true;
    this.stream.destroy();
  }

  async drain() {
    this.stream.resume();
    await this.#closed;
  }

  verify(other) {
    const { name, events } = this;
    this.world.check(events.close === 1, `${name}: ${events.close} times 'close'`);
    this.world.check(this.#waiting === 0 || (FORGETS && this.couple.violent), `${name}: ${this.#waiting} callbacks are missing`);
    this.world.check(this.read <= other.written, `${name}: more bytes than were written`);
    if (this.couple.violent) return;
    this.world.check(events.end === 1 && events.finish === 1 && events.error === 0, `${name}: ${JSON.stringify(events)}`);
    this.world.check(this.read === other.written, `${name}: ${this.read} bytes of ${other.written}`);
    this.world.check(this.accepted === other.passed, `${name}: ${this.accepted} handles of ${other.passed}`);
    this.world.check(this.stream.bytesWritten === this.written, `${name}: bytesWritten is ${this.stream.bytesWritten}`);
  }
}

class Couple {
  violent = false;

  constructor(world, name, streams) {
    this.world = world;
    this.name = name;
    this.sides = streams.map((stream, i) => new StreamSide(this, `${name}${'ab'[i]}`, stream));
    world.add(this);
  }

  step() {
    const side = this.world.random.pick(this.sides);
    if (!side.over || this.world.random.once(4)) side.step();
  }

  async finish() {
    const how = this.world.random.weighted({ end: 6, destroy: 1 });
    this.world.note(`${this.name} ends: ${how}`);
    const drained = this.sides.map((side) => side.drain());
    if (how === 'destroy') this.world.random.pick(this.sides).destroy();
    for (const side of this.sides) side.end();
    await Promise.all(drained);
  }

  verify() {
    const [a, b] = this.sides;
    a.verify(b);
    b.verify(a);
  }
}

async function makeStreams(world) {
  const { random } = world;
  world.names += 1;
  const way = random.weighted({ pair: 3, passing: 2, pipe: 2, tcp: 3 });
  const name = `streams ${world.names}, ${way}, `;
  const given = { allowHalfOpen: random.once(2), highWaterMark: random.pick([1, 1000, 16_384, 65_536]) };
  if (way === 'pair' || way === 'passing') {
    new Couple(world, name, Pipe.pair({ ...given, ipc: way === 'passing' }));
    return;
  }
  const listener = way === 'tcp' ? new TCP().bind('127.0.0.1', 0) : new Pipe().bind(`${world.folder}/${world.names}`);
  const client = way === 'tcp' ? new TCP(given) : new Pipe(given);
  const server = way === 'tcp' ? new TCP(given) : new Pipe(given);
  const accepted = new Promise((resolve) => { listener.listen(() => resolve(listener.accept(server))); });
  const target = listener.getsockname();
  await (way === 'tcp' ? client.connect(target.port) : client.connect(target));
  await accepted;
  const gone = new Promise((resolve) => { listener.once('close', resolve); });
  listener.destroy();
  await gone;
  new Couple(world, name, [client, server]);
}

module.exports = { makeStreams };
