'use strict';

const EventEmitter = require('node:events');
const { AsyncResource } = require('node:async_hooks');
const native = require('./native.js');
const { abortError, check, codedError, status, statusError } = require('./errors.js');
const { forAddon } = require('./bytes.js');
const { checkFunction, checkOptions, checkSignal, checkTime } = require('./options.js');
const { unpack } = require('./inbox.js');
const { Receiver } = require('./receiver.js');

/** Only this package makes channels: connect() and listen() give them out. */
const token = Symbol('ferrule.channel');

/** Addon object -> Channel. */
const channels = new WeakMap();

/** Errors that say no more than that a channel has ended. */
const endings = new WeakSet();

/** Of this class, for the other modules of the package. */
let openChannel;
let adoptChannel;

/** Have the addon's calls reach a method of the Channel. */
function forward(name, deliver) {
  native.register(name, function onChannel(...args) {
    const channel = channels.get(this);
    if (channel !== undefined) deliver(channel, ...args);
  });
}

function ending(error) {
  endings.add(error);
  return error;
}

/**
 * A channel: messages that arrive whole or not at all, both ways.
 *
 * Messages come as 'message' events, or to a `for await` loop, or from receive(); nothing is received before
 * one of them asks, and nothing is lost in between. 'end' is the peer's goodbye; a peer that died is an
 * 'error' with the code ECONNRESET. Both close this side, and 'close' comes last, once. 'drain' comes when there is
 * room again after send() gave false, and when there never will be because the channel ended.
 */
class Channel extends EventEmitter {
  #handle;
  #receiver;
  /** Called at the end of a connect that is under way. */
  #opening = null;
  /** { error } when the peer has ended; null in it after its goodbye. */
  #peerEnd = null;
  #closing = false;
  #aborted = false;
  /** { error } when the close has ended; null in it when all was well. */
  #closed = null;
  /** The last send() said to wait for 'drain'. */
  #full = false;
  /** 'close' was emitted. */
  #over = false;
  /** Who waits for the close: { resolve, reject }. */
  #closers = [];

  /** Not for callers: connect() and listen() give channels out. */
  constructor(key, handle) {
    if (key !== token) {
      throw codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'channels come from connect() and listen()');
    }
    super();
    this.#handle = handle;
    this.#receiver = new Receiver(handle, this, () => this.#emitClose());
    channels.set(handle, this);
  }

  static {
    openChannel = (address, numbers, signal) => Channel.#open(address, numbers, signal);
    adoptChannel = (take) => Channel.#adopt(take);
    forward('channelConnected', (channel, number, detail) => channel.#opening?.(number, detail));
    forward('channelMessages', (channel, slab, count, large) => channel.#receiver.add(unpack(slab, count, large)));
    forward('channelEnded', (channel, number, detail) => channel.#onEnded(number, detail));
    forward('channelDrain', (channel) => channel.#drain());
    forward('channelClosed', (channel, number, detail) => channel.#onClosed(number, detail));
    native.register('channelSent', (callback, number, detail) => {
      callback(number < 0 ? statusError(number, 'send', { detail }) : null);
    });
  }

  /** Connect; the promise of connect(). */
  static #open(address, numbers, signal) {
    const handle = new native.Channel();
    const channel = new Channel(token, handle);
    check(handle.connect(address, numbers), 'connect', address);
    return new Promise((resolve, reject) => {
      const settle = (error) => {
        signal?.removeEventListener('abort', onabort);
        channel.#opening = null;
        if (error === null) {
          resolve(channel);
          return;
        }
        reject(error);
        channel.abort();
      };
      const onabort = () => settle(abortError(signal));
      channel.#opening = (number, detail) => {
        settle(number < 0 ? statusError(number, 'connect', { detail, address }) : null);
      };
      signal?.addEventListener('abort', onabort, { once: true });
    });
  }

  /** The channel that `take` puts into the addon's object. */
  static #adopt(take) {
    const handle = new native.Channel();
    const channel = new Channel(token, handle);
    check(take(handle), 'accept');
    return channel;
  }

  /**
   * Send a message: a string (as UTF-8), bytes, or an array of them that becomes one message.
   *
   * It is accepted whole, or refused whole with an error thrown. Bytes from 64 KiB up are not copied: they
   * must not change until the kernel has them, which is what the callback tells.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike | Array<string | ArrayBufferView | ArrayBufferLike>} data
   * @param {(error: Error | null) => void} [callback] the kernel has the whole message
   * @returns {boolean} false when it is better to wait for 'drain' before sending more
   */
  send(data, callback) {
    const bound = callback === undefined ? undefined : AsyncResource.bind(checkFunction(callback, 'callback'));
    const number = this.#handle.send(forAddon(data), bound);
    if (number < 0) throw this.#sendError(number, native.detail());
    this.#full = number === 0;
    return number === 1;
  }

  /**
   * Take the next message.
   *
   * When it is aborted or out of time, no message was taken.
   *
   * @param {{ signal?: AbortSignal, timeout?: number }} [options] timeout in milliseconds
   * @returns {Promise<Buffer | null>} null after the peer's goodbye, and after close() or abort() on this side
   */
  async receive(options) {
    const { signal, timeout } = checkOptions(options);
    checkSignal(signal);
    const time = checkTime(timeout, 'options.timeout');
    if (signal?.aborted) throw abortError(signal);
    let timer;
    let onabort;
    try {
      return await this.#receiver.take((cancel) => {
        onabort = () => cancel(abortError(signal));
        signal?.addEventListener('abort', onabort, { once: true });
        if (time > 0) timer = setTimeout(() => cancel(statusError(status.ETIMEDOUT, 'receive')), time);
      });
    } finally {
      clearTimeout(timer);
      if (onabort !== undefined) signal?.removeEventListener('abort', onabort);
    }
  }

  /**
   * The messages, until the peer's goodbye. A peer that died makes it throw. Leaving the loop leaves the
   * channel open.
   *
   * @returns {AsyncIterableIterator<Buffer>}
   */
  [Symbol.asyncIterator]() {
    return this.#receiver.iterate();
  }

  /** As EventEmitter's. The first listener of 'message' starts to receive. */
  on(name, listener) {
    super.on(name, listener);
    if (name === 'message') this.#receiver.start();
    return this;
  }

  /** The same as on(). */
  addListener(name, listener) {
    return this.on(name, listener);
  }

  /** As EventEmitter's. The first listener of 'message' starts to receive. */
  prependListener(name, listener) {
    super.prependListener(name, listener);
    if (name === 'message') this.#receiver.start();
    return this;
  }

  /** Hold messages back until resume(). What the peer sends waits, and in the end makes it wait. */
  pause() {
    this.#receiver.pause();
    return this;
  }

  /** Start to receive, also without a listener of 'message', or go on after pause(). */
  resume() {
    this.#receiver.resume();
    return this;
  }

  /** Whether pause() is in force. */
  isPaused() {
    return this.#receiver.paused;
  }

  /** Whether more may be sent before waiting for 'drain'. */
  get writable() {
    if (this.#closing) return false;
    const writable = this.#handle.writable() === 1;
    // Who saw this waits for 'drain', whatever send() said last.
    if (!writable) this.#full = true;
    return writable;
  }

  /** Whether this side is closed, or about to be: nothing can be sent. */
  get closed() {
    return this.#closing;
  }

  /**
   * What is known about the channel. It throws once the channel is closed.
   *
   * @returns {{ wire: 'native' | 'plain', version: number, maxMessage: number, peerMaxMessage: number,
   *   maxHandles: number, peerMaxHandles: number, queued: number, highWater: number }}
   */
  get info() {
    const numbers = new Float64Array(8);
    check(this.#handle.info(numbers), 'info');
    const [wire, version, maxMessage, peerMaxMessage, maxHandles, peerMaxHandles, queued, highWater] = numbers;
    return {
      wire: wire === 1 ? 'plain' : 'native',
      version,
      maxMessage,
      peerMaxMessage,
      maxHandles,
      peerMaxHandles,
      queued,
      highWater,
    };
  }

  /**
   * Flush what was sent, say goodbye, wait for the peer's. Messages that were not taken are dropped.
   *
   * @returns {Promise<void>} rejected when that did not work, with ETIMEDOUT for example, unless the same error
   *   was told before. Nobody has to wait for it: then a failure is not reported
   */
  close() {
    const promise = new Promise((resolve, reject) => {
      if (!this.#closing) {
        check(this.#handle.close(), 'close');
        this.#closing = true;
      }
      this.#closers.push({ resolve, reject });
      this.#receiver.stop();
      if (this.#closed !== null) this.#settleClosers();
    });
    promise.catch(() => {});
    return promise;
  }

  /** Close at once: nothing is flushed, and no goodbye is said. */
  abort() {
    if (this.#closed !== null) return;
    check(this.#handle.abort(), 'abort');
    this.#aborted ||= !this.#closing;
    this.#closing = true;
    this.#receiver.stop();
  }

  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.close();
  }

  /** Keep Node from exiting while the channel waits for something, as it does at first. */
  ref() {
    if (!this.#closing) check(this.#handle.hold(true), 'ref');
    return this;
  }

  /** Let Node exit though the channel is open. */
  unref() {
    if (!this.#closing) check(this.#handle.hold(false), 'unref');
    return this;
  }

  /** Why a message was refused: how the peer ended, when that is what closed this side. */
  #sendError(number, detail) {
    if (number === status.ECLOSED && this.#peerEnd !== null) {
      return this.#peerEnd.error ?? ending(statusError(status.EPIPE, 'send'));
    }
    const error = statusError(number, 'send', { detail });
    const gone = number === status.EPIPE || number === status.ECONNRESET || number === status.ECLOSED;
    return gone ? ending(error) : error;
  }

  /** The peer said goodbye, died, or broke the protocol. Nothing can be sent to it any more. */
  #onEnded(number, detail) {
    if (this.#closing) return;
    this.#closing = true;
    const error = number === status.EOF ? null : ending(statusError(number, 'receive', { detail }));
    this.#peerEnd = { error };
    if (error !== null || this.#handle.close() < 0) this.#handle.abort();
    this.#receiver.end(error);
    this.#drain();
  }

  /** Whoever waits to send goes on. When the channel has ended, the next send() tells. */
  #drain() {
    if (!this.#full) return;
    this.#full = false;
    this.emit('drain');
  }

  #onClosed(number, detail) {
    const failed = number < 0 && this.#peerEnd === null && !this.#aborted;
    this.#closed = { error: failed ? ending(statusError(number, 'close', { detail })) : null };
    this.#settleClosers();
    this.#emitClose();
    this.#drain();
  }

  #settleClosers() {
    // What ended the channel before is news only to who has not been told.
    const before = this.#receiver.told ? null : this.#peerEnd?.error ?? null;
    const error = this.#closed.error ?? before;
    for (const { resolve, reject } of this.#closers.splice(0)) {
      if (error === null) resolve();
      else reject(error);
    }
  }

  #emitClose() {
    if (this.#over || this.#closed === null || !this.#receiver.done) return;
    this.#over = true;
    process.nextTick(() => this.emit('close'));
  }
}

module.exports = { Channel, adoptChannel, endings, openChannel };
