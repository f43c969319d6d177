'use strict';

/** Two channels that are connected with each other, and what is known of the messages between them. */

const fs = require('node:fs');
const { TCP, UDP, Pipe } = require('../../../bindings/node');
const { Random } = require('./random.js');

/** What a message that was refused is refused with: it must not arrive. */
const REFUSED = new Set(['EAGAIN', 'EMSGSIZE', 'ENOTSUP', 'EINVAL', 'ABORT_ERR', 'EPIPE', 'ERR_FERRULE_CLOSED']);
/** What cuts off a message, which may have arrived. */
const LOST = new Set(['ECONNRESET', 'ECANCELED', 'EPIPE', 'ERR_FERRULE_CLOSED', 'ETIMEDOUT']);
/** How a channel ends when its peer, or itself, was cut off. */
const BROKEN = new Set(['ECONNRESET', 'EPIPE', 'ECANCELED', 'ETIMEDOUT', 'EPROTO']);
/** What a channel that is closed throws, or that has nothing to tell. */
const CLOSED = new Set(['ERR_FERRULE_CLOSED', 'ENOTSUP', 'ECONNRESET', 'EPIPE', 'ENOTCONN', 'EACCES']);

/** The number of a message is in its first bytes, and in all others, in a way. */
function content(number, size) {
  const bytes = Buffer.alloc(size, (number * 7 + 13) & 0xff);
  if (size >= 4) bytes.writeUInt32LE(number, 0);
  if (size >= 8) bytes.writeUInt32LE(size, size - 4);
  return bytes;
}

/** The same bytes in another shape. */
function shape(bytes, random) {
  switch (random.integer(0, 6)) {
    case 0:
      return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    case 1:
      return [bytes.subarray(0, 5), bytes.subarray(5)];
    case 2:
      return new Uint8Array(bytes).buffer;
    case 3: {
      const shared = new SharedArrayBuffer(bytes.length);
      new Uint8Array(shared).set(bytes);
      return shared;
    }
    default:
      return bytes;
  }
}

/** What was sent in one direction, and what of it arrived. */
class Direction {
  /** { size, handles, lane, state: 'sent', 'refused' or 'lost', seen } by number; empty ones are counted. */
  entries = [];
  empty = { sent: 0, refused: 0, seen: 0 };

  add(size, handles, lane) {
    if (size === 0) {
      this.empty.sent += 1;
      return -1;
    }
    return this.entries.push({ size, handles, lane, state: 'sent', seen: false }) - 1;
  }

  fail(number, state) {
    if (number < 0) this.empty.refused += 1;
    else this.entries[number].state = state;
  }

  /** What never arrived, though it should have. */
  missing() {
    const lacking = this.entries.filter((entry) => entry.state === 'sent' && !entry.seen).length;
    return lacking + Math.max(0, this.empty.sent - this.empty.refused - this.empty.seen);
  }

  /** What arrived though it was refused. */
  uncalledFor() {
    const wrong = this.entries.filter((entry) => entry.state === 'refused' && entry.seen).length;
    return wrong + Math.max(0, this.empty.seen - this.empty.sent);
  }
}

/** One of the two. */
class Side {
  events = { message: 0, end: 0, error: 0, close: 0 };
  /** close() or abort() was called here. */
  closing = false;
  /** The peer's goodbye was seen, before that. */
  ended = false;
  /** A 'drain' is due. */
  #due = false;
  #corked = 0;
  #consumers = 0;
  #lanes = 0;
  #listeners = [];
  #closed;

  /**
   * @param {Link} link
   * @param {string} name
   * @param {import('ferrule').Channel} channel
   * @param {Direction} out
   * @param {Direction} into
   */
  constructor(link, name, channel, out, into) {
    this.link = link;
    this.world = link.world;
    this.name = name;
    this.channel = channel;
    this.out = out;
    this.into = into;
    /** Messages, and errors, are taken by who waits for them, and by nobody else. */
    this.pulls = link.chance.once(3);
    this.#closed = new Promise((resolve) => { channel.once('close', resolve); });
    channel.on('close', () => this.#onClose());
    channel.on('end', () => {
      this.events.end += 1;
      this.ended ||= !this.closing;
      this.world.check(this.events.close === 0 && this.events.error === 0, `${name}: 'end' after the end`);
    });
    channel.on('drain', () => { this.#due = false; });
    if (!this.pulls) {
      channel.on('error', (error) => {
        this.events.error += 1;
        this.world.check(this.events.end === 0 && this.events.close === 0, `${name}: 'error' after the end`);
        this.#onError(error, 'error');
      });
    }
  }

  get over() {
    return this.events.close > 0;
  }

  #onClose() {
    this.events.close += 1;
    this.world.check(this.events.close === 1, `${this.name}: 'close' twice`);
    this.world.check(!this.#due, `${this.name}: no 'drain' before 'close'`);
    this.world.check(this.channel.closed && !this.channel.writable, `${this.name}: open after 'close'`);
  }

  #onError(error, what) {
    this.world.check(this.link.violent, `${this.name}: ${what} ${error.code} without a reason`);
    this.world.allow(error, BROKEN, `${this.name}: ${what}`);
  }

  /** Somebody who takes messages: gives a function that looks at each, and whose come in order. */
  consumer() {
    this.#consumers += 1;
    const last = new Map();
    const name = `${this.name}, consumer ${this.#consumers}`;
    return (message) => {
      this.world.check(!this.over || this.pulls, `${name}: a message after 'close'`);
      if (message.length === 0) {
        this.into.empty.seen += 1;
        return;
      }
      const number = message.readUInt32LE(0);
      const entry = this.into.entries[number];
      if (entry === undefined || !message.equals(content(number, entry.size))) {
        this.world.fail(`${name}: a message that was not sent`);
        return;
      }
      this.world.check(!entry.seen, `${name}: message ${number} twice`);
      this.world.check(number > (last.get(entry.lane) ?? -1), `${name}: message ${number} out of order`);
      entry.seen = true;
      last.set(entry.lane, number);
      if (this.link.maxHandles > 0) this.#handles(entry, message.handles, name);
    };
  }

  /** What came with a message: closed, taken, opened, or left to the collector. */
  #handles(entry, handles, name) {
    this.world.check(handles.map((handle) => handle.kind).join() === entry.handles.join(), `${name}: other handles`);
    for (const handle of handles) {
      switch (this.link.chance.integer(0, 3)) {
        case 0:
          handle.close();
          break;
        case 1:
          if (!this.world.careful) fs.closeSync(handle.detach());
          break;
        case 2:
          if (handle.kind !== 'other') dispose(handle.open());
          handle.close();
          break;
        default:
      }
    }
  }

  step() {
    const { random } = this.world;
    const weights = {
      send: 30, trySend: 10, sendMany: 4, flush: 2, receive: 12, iterate: 4, pause: 3, resume: 6, cork: 2, uncork: 3, look: 4, hold: 2,
      close: 0.7, abort: 0.5, ...(this.pulls ? { pause: 0 } : { listen: 6, unlisten: 2 }),
    };
    const call = random.weighted(weights);
    this.world.note(`${this.name} ${call}`);
    this[call]();
  }

  /** A message: its number, and what to send. */
  #message(lane) {
    const { random } = this.world;
    const plain = this.link.wire === 'plain';
    const size = !plain && random.once(20) ? 0 : random.size();
    const given = this.link.maxHandles > 0 && random.once(4) ? passables(random, random.integer(1, this.link.maxHandles)) : [];
    const number = this.out.add(size, given.map(([kind]) => kind), lane);
    const bytes = content(number, size);
    return { number, data: size < 8 ? bytes : shape(bytes, random), given };
  }

  #refused(number, error) {
    const refused = REFUSED.has(error.code);
    this.out.fail(number, refused ? 'refused' : 'lost');
    if (!refused) this.world.allow(error, LOST, `${this.name}: send`);
  }

  send() {
    const { number, data, given } = this.#message(0);
    const options = given.length > 0 ? { handles: given.map(([, handle]) => handle) } : undefined;
    // Whether it is refused at once, or tells so in a promise.
    const sent = (async () => this.channel.send(data, options))();
    for (const [, handle] of given) dispose(handle);
    this.world.track(sent.then(undefined, (error) => this.#refused(number, error)), `${this.name} send`);
  }

  trySend() {
    const { number, data, given } = this.#message(0);
    try {
      const sent = this.channel.trySend(data, { handles: given.map(([, handle]) => handle) });
      if (!sent) {
        this.out.fail(number, 'refused');
        // Otherwise it was this one that is too large for what is left.
        this.#due ||= !this.channel.writable && !this.channel.closed;
      }
    } catch (error) {
      this.#refused(number, error);
    }
    for (const [, handle] of given) dispose(handle);
  }

  sendMany() {
    const { random } = this.world;
    this.#lanes += 1;
    const lane = `many ${this.#lanes}`;
    const numbers = [];
    const list = Array.from({ length: random.integer(1, 40) }, () => {
      const size = random.size();
      numbers.push(this.out.add(size, [], lane));
      return content(numbers.at(-1), size);
    });
    const controller = new AbortController();
    if (random.once(3)) setImmediate(() => controller.abort());
    const done = this.channel.sendMany(list, { signal: controller.signal }).catch((error) => {
      const accepted = error.accepted ?? 0;
      numbers.slice(0, accepted).forEach((number) => this.#unsure(number, error));
      numbers.slice(accepted).forEach((number) => this.out.fail(number, 'refused'));
      this.world.allow(error, new Set([...REFUSED, ...LOST]), `${this.name} sendMany`);
    });
    this.world.track(done, `${this.name} sendMany`);
  }

  flush() {
    const done = this.channel.flush().catch((error) => {
      this.world.check(this.link.violent || this.link.sides.some((side) => side.closing), `${this.name}: flush ${error.code} without a reason`);
      this.world.allow(error, LOST, `${this.name} flush`);
    });
    this.world.track(done, `${this.name} flush`);
  }

  /** Accepted; but what then cut off the others may have cut it off, too. */
  #unsure(number, error) {
    if (error.code !== 'ABORT_ERR' && error.code !== 'EMSGSIZE') this.out.fail(number, 'lost');
  }

  receive() {
    const { random } = this.world;
    const look = this.consumer();
    const options = {};
    if (random.once(3)) options.timeout = random.integer(1, 20);
    if (random.once(3)) {
      const controller = new AbortController();
      options.signal = controller.signal;
      if (random.once(2)) setImmediate(() => controller.abort());
      else if (random.once(2)) controller.abort();
    }
    const taken = this.#taken(this.channel.receive(options), look, true);
    this.world.track(taken, `${this.name} receive`);
  }

  /** Wait for a message; gives whether there was one. */
  async #taken(receiving, look, mayGiveUp = false) {
    try {
      const message = await receiving;
      if (message === null) this.#onNull();
      else look(message);
      return message !== null;
    } catch (error) {
      if (mayGiveUp && (error.code === 'ABORT_ERR' || error.syscall === 'receive' && error.code === 'ETIMEDOUT')) return true;
      this.#onError(error, 'receive');
      return false;
    }
  }

  #onNull() {
    if (!this.closing) this.ended = true;
  }

  /** Take some messages in a loop, and leave it. */
  iterate() {
    const { random } = this.world;
    const look = this.consumer();
    const most = random.integer(1, 5);
    const loop = async () => {
      const iterator = this.channel[Symbol.asyncIterator]();
      for (let i = 0; i < most; i += 1) {
        const next = await iterator.next();
        if (next.done) {
          this.#onNull();
          return;
        }
        look(next.value);
      }
      await iterator.return();
    };
    this.world.track(loop().catch((error) => this.#onError(error, 'iterate')), `${this.name} iterate`);
  }

  listen() {
    const look = this.consumer();
    const listener = (message, handles) => {
      this.events.message += 1;
      this.world.check((message.handles ?? handles) === handles, `${this.name}: the event has other handles`);
      look(message);
    };
    this.#listeners.push(listener);
    this.channel.on('message', listener);
    // Of two listeners each would see every message.
    for (const other of this.#listeners.splice(0, this.#listeners.length - 1)) this.channel.off('message', other);
  }

  unlisten() {
    for (const listener of this.#listeners.splice(0)) this.channel.off('message', listener);
  }

  pause() {
    this.channel.pause();
    this.world.check(this.channel.isPaused(), `${this.name}: not paused`);
  }

  resume() {
    // Whose error nobody takes yet does not start to receive.
    if (!this.pulls || this.#consumers > 0) this.channel.resume();
  }

  cork() {
    this.#corked += 1;
    this.channel.cork();
  }

  uncork() {
    this.#corked -= this.#corked > 0 ? 1 : 0;
    this.channel.uncork();
  }

  hold() {
    this.channel.unref().ref();
  }

  /** What only tells something. */
  look() {
    const { channel } = this;
    for (const ask of [() => channel.info, () => channel.peerCredentials, () => channel.unsent]) {
      try {
        ask();
      } catch (error) {
        this.world.allow(error, CLOSED, `${this.name}: look`);
      }
    }
    if (!channel.writable && !channel.closed) this.#due = true;
    const { messagesIn } = channel.stats();
    const seen = this.into.entries.filter((entry) => entry.seen).length + this.into.empty.seen;
    this.world.check(seen <= messagesIn, `${this.name}: ${seen} messages seen of ${messagesIn}`);
  }

  close() {
    this.closing = true;
    const before = this.link.violent;
    const done = this.channel.close().catch((error) => {
      this.world.check(before || this.link.violent, `${this.name}: close ${error.code} without a reason`);
      this.world.allow(error, BROKEN, `${this.name} close`);
    });
    this.world.track(done, `${this.name} close`);
  }

  abort() {
    this.closing = true;
    this.link.violent = true;
    this.channel.abort();
  }

  /** Take everything until the end. */
  async drain() {
    while (this.#corked > 0) this.uncork();
    if (!this.pulls) {
      this.listen();
      this.resume();
      await this.#closed;
      return;
    }
    const look = this.consumer();
    this.resume();
    while (await this.#taken(this.channel.receive(), look));
    await this.#closed;
  }
}

/** Handles to send: [kind, what to send]. */
function passables(random, count) {
  return Array.from({ length: count }, () => {
    switch (random.integer(0, 4)) {
      case 0:
        return ['tcp', new TCP().bind('127.0.0.1', 0)];
      case 1:
        return ['udp', new UDP().bind('127.0.0.1', 0)];
      case 2: {
        const [pipe, other] = Pipe.pair();
        other.destroy();
        return ['pipe', pipe];
      }
      default:
        return ['other', fs.openSync('/dev/null')];
    }
  });
}

function dispose(handle) {
  if (typeof handle === 'number') fs.closeSync(handle);
  else if (handle instanceof UDP) handle.close();
  else handle.destroy();
}

class Link {
  /** Something cut it off: then anything may be lost. */
  violent = false;

  /**
   * @param {import('./world.js').World} world
   * @param {[object, object]} channels
   * @param {{ wire: string, maxHandles: number }} about
   */
  constructor(world, channels, { wire, maxHandles }) {
    world.names += 1;
    this.world = world;
    this.name = `link ${world.names}`;
    /** For what the calls of the library decide the time of: it must not change what is called next. */
    this.chance = new Random(world.names);
    this.wire = wire;
    this.maxHandles = maxHandles;
    const directions = [new Direction(), new Direction()];
    this.sides = channels.map((channel, i) => (
      new Side(this, `${this.name}${'ab'[i]}`, channel, directions[i], directions[1 - i])));
    world.add(this);
  }

  step() {
    const side = this.world.random.pick(this.sides);
    if (!side.over || this.world.random.once(4)) side.step();
  }

  async finish() {
    const how = this.world.random.weighted({ one: 6, both: 2, abort: 1 });
    this.world.note(`${this.name} ends: ${how}`);
    const [one, other] = this.world.random.once(2) ? this.sides : [...this.sides].reverse();
    const drained = this.sides.map((side) => side.drain());
    if (how === 'abort') one.abort();
    else one.close();
    if (how === 'both') other.close();
    await Promise.all(drained);
  }

  /** After everything has ended. */
  verify() {
    for (const side of this.sides) {
      const { name, events } = side;
      this.world.check(events.close === 1, `${name}: ${events.close} times 'close'`);
      this.world.check(events.end + events.error <= 1, `${name}: ended twice`);
      this.world.check(side.into.uncalledFor() === 0, `${name}: got what was refused`);
      if (side.ended && !this.violent) {
        this.world.check(side.into.missing() === 0, `${name}: ${side.into.missing()} messages are missing`);
      }
    }
  }
}

module.exports = { Link };
