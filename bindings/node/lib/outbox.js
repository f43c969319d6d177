'use strict';

/** The sending half of a channel: what crosses into the addon when, and what the promises of send() are told. */

const native = require('./native.js');
const { forAddon } = require('./bytes.js');
const { tellSent } = require('./diagnostics.js');
const { check, status } = require('./errors.js');
const { passengers } = require('./objects.js');
const { endings } = require('./opening.js');
const { checkBoolean, checkOptions } = require('./options.js');
const { giveSlab, takeSlab } = require('./slab.js');

/** Messages up to here are gathered; of a larger one a copy more costs as much as the crossing. */
const SMALL = 8 * 1024;
/** A character of a string has at most so many bytes. */
const CHARACTER = 3;
/** What a message costs besides its bytes, at most, when the queue is measured. */
const HEADER = 8;
/** Queued bytes above which a message is refused, unless the options say otherwise. */
const HARD_CAP = 64 * 1024 * 1024;

/** The handles of a message that has none. */
const NONE = [];

/** What the addon is to do when messages are handed over: tell when the kernel has them; the same, and write at once. */
const ASK = { no: 0, yes: 1, now: 2 };
/** So often in a row what waits is written at the end of a tick. Then the loop has its turn: others get theirs. */
const RUSHES = 16;

/** The kernel has it. */
const DONE = Promise.resolve();

/** The size of a typed array, whatever its class says. */
const sizeOf = Function.prototype.call.bind(
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), 'byteLength').get,
);

function nothing() {}

/** A promise that many messages have in common, with the functions that settle it. */
function makeBatch() {
  const batch = {};
  batch.promise = new Promise((resolve, reject) => {
    batch.resolve = resolve;
    batch.reject = reject;
  });
  return batch;
}

/**
 * The first message of a tick goes to the library at once, which writes it when nothing waits. Small ones behind it
 * gather here, as long as it is certain that the library will take them, and cross together at the end of the tick, or
 * when there is no more room.
 *
 * All that is sent while something waits has one promise in common, until the addon is asked to tell when the kernel has
 * it. It is asked about one promise after the other.
 */
class Outbox {
  #handle;
  #channel;
  #owner;
  #hardCap;

  /** Something was sent in this tick: what is known here of the queue holds until its end, or until a call fails. */
  #gathering = false;
  #known = false;
  /** More may be sent before waiting for 'drain'. */
  #writable = false;
  /** How many bytes wait for the kernel: 0 only when none do, otherwise at least as many as do. */
  #queued = 0;
  /** Handles may wait, which weigh more than their bytes. */
  #carries = false;
  /** The largest message that may be gathered, and the queue that must not be reached by it; from the first send on. */
  #largest = -1;
  #limit = 0;

  /** What was gathered; null when nothing was. */
  #slab = null;
  #corked = false;
  /** The channel closes. */
  #over = false;
  /** The promise that the addon has not been asked about; null when nobody was given one. */
  #batch = null;
  /** Those that it was asked about, in order. */
  #asked = [];
  /** How often what waited was written at the end of a tick, since the addon told of something. */
  #rushes = 0;
  #endTick = () => {
    this.#gathering = false;
    this.#settle();
  };

  /**
   * @param {object} handle the addon's channel
   * @param {import('./channel.js').Channel} channel
   * @param {number} hardCap of the options; 0 for the default
   * @param {object} owner
   * @param {(number: number, detail?: string) => Error} owner.failure why a message was refused, or lost
   * @param {() => boolean} owner.tells whether the end of the channel is told to who receives
   * @param {() => void} owner.full 'drain' has to be waited for
   * @param {(number: number, detail: string) => void} owner.lost messages that were accepted cannot be sent
   */
  constructor(handle, channel, hardCap, owner) {
    this.#handle = handle;
    this.#channel = channel;
    this.#hardCap = hardCap === 0 ? HARD_CAP : hardCap;
    this.#owner = owner;
  }

  /** Send a message; the promise that the kernel has it. */
  send(data, options) {
    try {
      this.push(data, options);
      return this.sent();
    } catch (error) {
      return this.#refuse(error);
    }
  }

  /** Send a message, or throw. */
  push(data, options) {
    if (options !== undefined) {
      this.#pushWith(data, options);
    } else if (this.#gathering && this.#gather(data)) {
      tellSent(this.#channel, data, 0);
    } else {
      this.#sendNow(forAddon(data));
    }
  }

  /** As push(), for what forAddon() has seen already. */
  pushAgain(data) {
    if (this.#gathering && this.#gather(data)) tellSent(this.#channel, data, 0);
    else this.#sendNow(data);
  }

  /** The promise that the kernel has everything that was accepted so far. */
  sent() {
    if (this.#queued === 0) return DONE;
    this.#batch ??= makeBatch();
    return this.#batch.promise;
  }

  /** The same; what cork() holds back goes, too. */
  flush() {
    this.deliver();
    const batch = this.#takeBatch();
    const asked = batch ?? makeBatch();
    const number = this.#ask(asked);
    if (number >= 0) return asked.promise;
    const error = this.#owner.failure(number, native.detail());
    if (batch !== null) this.#fail(batch, error);
    return this.#refuse(error);
  }

  /** Whether more may be sent before waiting for 'drain'. */
  get writable() {
    if (!this.#gathering || !this.#known) this.#note(this.#handle.deliver(undefined, 0, ASK.no));
    return this.#known && this.#writable;
  }

  /** Hold back what is sent from now on. */
  cork() {
    check(this.#handle.cork(), 'cork');
    if (this.#corked) return;
    this.#corked = true;
    // What was sent before goes, which asking sees to.
    if (this.#queued > 0) this.#batch ??= makeBatch();
    this.#askNow();
  }

  /** Let go of what was held back. */
  uncork() {
    this.deliver();
    check(this.#handle.uncork(), 'uncork');
    this.#corked = false;
    this.#settle();
  }

  /** Let the library have what was gathered. */
  deliver() {
    if (this.#slab === null) return;
    const number = this.#cross(ASK.no);
    if (number < 0) this.#lose(number, this.#takeBatch());
  }

  /** The channel is about to close: the addon cannot be asked any more. */
  end() {
    this.#over = true;
    this.#askNow();
  }

  /** The same, and nothing more is written: what waits is lost. */
  abort() {
    this.#over = true;
    this.deliver();
    const batch = this.#takeBatch();
    if (batch === null) return;
    this.#note(this.#handle.deliver(undefined, 0, ASK.no));
    if (this.#known && this.#queued === 0) batch.resolve();
    else this.#fail(batch, this.#owner.failure(status.ECANCELED));
  }

  /** The addon tells how what it was asked about ended. */
  onFlushed(number, detail) {
    this.#rushes = 0;
    const batch = this.#asked.shift();
    if (number < 0) this.#fail(batch, this.#owner.failure(number, detail));
    else batch.resolve();
    this.#settle();
  }

  #sendNow(bytes) {
    this.deliver();
    this.#accept(this.#handle.send(bytes));
    tellSent(this.#channel, bytes, 0);
  }

  #pushWith(data, options) {
    const { handles = NONE, keepOpen } = checkOptions(options);
    const keep = checkBoolean(keepOpen, 'options.keepOpen', false);
    const { fds, waits, settle } = passengers(handles, keep);
    if (fds.length === 0) {
      this.push(data);
      return;
    }
    let accepted = false;
    try {
      this.deliver();
      const bytes = forAddon(data);
      this.#carries = true;
      this.#accept(this.#handle.pass(bytes, fds));
      tellSent(this.#channel, bytes, fds.length);
      accepted = true;
    } finally {
      if (!accepted || !waits) settle(accepted);
    }
    if (waits) this.sent().then(() => settle(true), () => settle(false));
  }

  /** The promise of what was refused. That the peer is gone need not be told twice. */
  #refuse(error) {
    const refused = Promise.reject(error);
    if (this.#owner.tells() && endings.has(error) && error.status !== 'FER_ECLOSED') refused.catch(nothing);
    return refused;
  }

  /** Put a message behind those that were gathered. False when it has to cross alone. */
  #gather(data) {
    const isText = typeof data === 'string';
    if (!isText && !(data instanceof Uint8Array)) return false;
    const most = isText ? data.length * CHARACTER : sizeOf(data);
    // An empty one may be what the wire does not have, or memory that was given away.
    if (most === 0 || most > SMALL || most > this.#largest || !this.#isCertain(most)) return false;
    if (this.#slab !== null && !this.#slab.hasRoom(most)) {
      this.deliver();
      if (!this.#isCertain(most)) return false;
    }
    this.#slab ??= takeSlab();
    this.#queued += HEADER + (isText ? this.#slab.addText(data) : this.#slab.addBytes(data, most));
    return true;
  }

  /** Whether a message of so many bytes is accepted in any case, and leaves the channel writable. */
  #isCertain(size) {
    return this.#known && this.#writable && !this.#carries && this.#queued + HEADER + size < this.#limit;
  }

  /** What sending one message gave. */
  #accept(number) {
    if (!this.#note(number)) throw this.#owner.failure(number, native.detail());
    if (this.#largest < 0) this.#learn();
    if (this.#gathering) return;
    this.#gathering = true;
    process.nextTick(this.#endTick);
  }

  /** What the addon says of the queue. False when it is a status instead. */
  #note(number) {
    this.#known = number >= 0;
    if (!this.#known) return false;
    const writable = number % 2;
    this.#writable = writable === 1;
    this.#queued = (number - writable) / 2;
    if (!this.#writable) this.#owner.full();
    if (this.#queued === 0) this.#carries = false;
    return true;
  }

  #learn() {
    const numbers = new Float64Array(8);
    if (this.#handle.info(numbers) < 0) return;
    const [, , most, peerMost, , , , highWater] = numbers;
    this.#largest = Math.min(most, peerMost);
    this.#limit = Math.min(highWater, this.#hardCap);
  }

  #takeBatch() {
    const batch = this.#batch;
    this.#batch = null;
    return batch;
  }

  /** Hand over what was gathered. What the addon says, of which notice was taken. */
  #cross(how) {
    const slab = this.#slab;
    this.#slab = null;
    const number = this.#handle.deliver(slab?.memory, slab?.count ?? 0, how);
    this.#note(number);
    if (slab !== null) giveSlab(slab);
    return number;
  }

  /** Have the addon tell when the kernel has everything, unless it has it already. */
  #ask(batch, how = ASK.yes) {
    const number = this.#cross(how);
    if (number < 0) return number;
    if (this.#queued === 0 && this.#writable) batch.resolve();
    else this.#asked.push(batch);
    return number;
  }

  /** The same, whatever was asked before. */
  #askNow() {
    this.deliver();
    const batch = this.#takeBatch();
    if (batch === null) return;
    const number = this.#ask(batch);
    if (number < 0) this.#fail(batch, this.#owner.failure(number, native.detail()));
  }

  /** Hand over what was gathered, and have its promise settled, unless that must wait. */
  #settle() {
    if (this.#batch === null || this.#corked || this.#asked.length > 0) {
      this.deliver();
      return;
    }
    this.#rushes += 1;
    const batch = this.#takeBatch();
    const number = this.#ask(batch, this.#rushes > RUSHES ? ASK.yes : ASK.now);
    if (number < 0) this.#lose(number, batch);
  }

  /** What was accepted here is lost. */
  #lose(number, batch) {
    const detail = native.detail();
    this.#owner.lost(number, detail);
    if (batch !== null) this.#fail(batch, this.#owner.failure(number, detail));
  }

  #fail(batch, error) {
    // Whoever hears of the end anyway need not look at every promise.
    if (this.#over || this.#owner.tells()) batch.promise.catch(nothing);
    batch.reject(error);
  }
}

module.exports = { Outbox };
