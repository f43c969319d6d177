'use strict';

const EventEmitter = require('node:events');
const native = require('./native.js');
const { abortError, check, codedError, status, statusError } = require('./errors.js');
const { forAddon } = require('./bytes.js');
const { passengers } = require('./objects.js');
const { checkBoolean, checkOptions, checkSignal, checkTime } = require('./options.js');
const { credentialsOf, infoOf, statsOf } = require('./access.js');
const { tell, tellReceived, tellSent } = require('./diagnostics.js');
const { unpack } = require('./inbox.js');
const { bind, carries, ending, untilOpen } = require('./opening.js');
const { NONE, Receiver } = require('./receiver.js');
const { checkMessages, sendAll } = require('./sending.js');

/** Only this package makes channels: connect() and listen() give them out. */
const token = Symbol('ferrule.channel');

/** Addon object -> Channel. */
const channels = new WeakMap();

/** Of this class, for the other modules of the package. */
let openChannel;
let adoptChannel;
let pairChannels;
let parentChannel;

/** Have the addon's calls reach a method of the Channel. */
function forward(name, deliver) {
  native.register(name, function onChannel(...args) {
    const channel = channels.get(this);
    if (channel !== undefined) deliver(channel, ...args);
  });
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
  /** A send() said to wait for 'drain', which has not come yet. */
  #full = false;
  /** 'close' was emitted. */
  #over = false;
  /** Who waits for the close: { resolve, reject }. */
  #closers = [];
  /** Of a server's channel: called when it is closed. */
  #gone;

  /** Not for callers: connect() and listen() give channels out. */
  constructor(key, handle, options) {
    if (key !== token) {
      throw codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'channels come from connect() and listen()');
    }
    super({ captureRejections: options.captureRejections });
    this.#handle = handle;
    this.#receiver = new Receiver(handle, this, carries(options), () => this.#emitClose());
    channels.set(handle, this);
  }

  static {
    openChannel = (address, options, signal, about = { syscall: 'connect', address }) => {
      const begin = (handle) => handle.connect(address, options.numbers, options.secret);
      return Channel.#open(begin, about, options, signal);
    };
    parentChannel = (options, signal) => {
      const begin = (handle) => handle.parent(options.numbers, options.secret);
      return Channel.#open(begin, { syscall: 'parent' }, options, signal);
    };
    adoptChannel = (take, options, gone) => Channel.#adopt(take, options, gone);
    pairChannels = (options) => Channel.#pair(options);
    forward('channelConnected', (channel, number, detail) => channel.#opening?.(number, detail));
    forward('channelMessages', (channel, sizes, count, buffers, handles) => {
      const messages = unpack(sizes, count, buffers);
      tellReceived(channel, messages, handles);
      channel.#receiver.add(messages, handles);
    });
    forward('channelEnded', (channel, number, detail) => channel.#onEnded(number, detail));
    forward('channelDrain', (channel) => channel.#drain());
    forward('channelClosed', (channel, number, detail) => channel.#onClosed(number, detail));
    native.register('channelSent', (callback, number, detail) => {
      callback(number < 0 ? statusError(number, 'send', { detail }) : null);
    });
  }

  /** A channel that is about to open, once `begin` is called; the promise of connect() and parent(). */
  static #open(begin, about, options, signal) {
    const handle = new native.Channel();
    const channel = new Channel(token, handle, options);
    check(begin(handle), about.syscall, about.address);
    return untilOpen(channel, (opening) => { channel.#opening = opening; }, about, signal);
  }

  /** The channel that `take` puts into the addon's object. `gone` is called when it is closed. */
  static #adopt(take, options, gone) {
    const handle = new native.Channel();
    const channel = new Channel(token, handle, options);
    check(take(handle), 'accept');
    channel.#gone = gone;
    tell('opened', { channel, address: undefined });
    return channel;
  }

  /** Two that are connected with each other; the promise of pair(). */
  static async #pair(options) {
    const handles = [new native.Channel(), new native.Channel()];
    const channels = handles.map((handle) => new Channel(token, handle, options));
    check(handles[0].pair(handles[1], options.numbers, options.secret), 'pair');
    const open = (channel) => untilOpen(channel, (opening) => { channel.#opening = opening; }, { syscall: 'pair' });
    try {
      return await Promise.all(channels.map(open));
    } catch (error) {
      for (const channel of channels) channel.abort();
      throw error;
    }
  }

  /**
   * Send a message: a string (as UTF-8), bytes, or an array of them that becomes one message.
   *
   * It is accepted whole, or refused whole with an error thrown. Bytes from 64 KiB up are not copied: they
   * must not change until the kernel has them, which is what the callback tells.
   *
   * Handles go with the message, delivered together with it or not at all. They stay usable here, and may be
   * closed at once; one of Node's own objects is closed once the kernel has it, unless keepOpen is given.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike | Array<string | ArrayBufferView | ArrayBufferLike>} data
   * @param {{ handles?: unknown[], keepOpen?: boolean } | ((error: Error | null) => void)} [options] handles: up to 64,
   *   each a Pipe, TCP or UDP, a ReceivedHandle, a net.Socket, net.Server or dgram.Socket, or a descriptor
   * @param {(error: Error | null) => void} [callback] the kernel has the whole message
   * @returns {boolean} false when it is better to wait for 'drain' before sending more
   */
  send(data, options, callback) {
    if (options !== undefined && typeof options !== 'function') return this.#pass(data, options, callback) === 1;
    const bytes = forAddon(data);
    const number = this.#accepted(this.#handle.send(bytes, bind(options ?? callback)));
    tellSent(this, [bytes], 0);
    return number === 1;
  }

  /**
   * Send messages one after another, waiting for room in between.
   *
   * @param {Iterable<string | ArrayBufferView | ArrayBufferLike | Array<string | ArrayBufferView | ArrayBufferLike>>} messages
   * @param {{ signal?: AbortSignal }} [options] signal: send no more
   * @returns {Promise<void>} the kernel has all of them. When it is rejected, `accepted` of the error says how many were sent
   */
  async sendMany(messages, options) {
    const { signal } = checkOptions(options);
    if (checkSignal(signal)?.aborted) throw abortError(signal);
    const list = checkMessages(messages);
    if (list.length > 0) await sendAll(this, list, (...some) => this.#sendSome(...some), signal);
  }

  /** As many as there is room for. */
  #sendSome(list, from, callback) {
    const number = this.#handle.sendMany(list, from, callback);
    const full = number === status.EAGAIN;
    if (number < 0 && !full) throw this.#sendError(number, native.detail());
    const accepted = full ? 0 : number;
    if (full || !this.writable) this.#full = true;
    tellSent(this, list.slice(from, from + accepted), 0);
    return accepted;
  }

  /**
   * Send a message now or not at all, as send() does otherwise.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike | Array<string | ArrayBufferView | ArrayBufferLike>} data
   * @param {{ handles?: unknown[], keepOpen?: boolean }} [options]
   * @returns {boolean} false, with nothing sent, when it has to wait for 'drain'
   */
  trySend(data, options) {
    if (!this.#closing && !this.writable) return false;
    try {
      this.#pass(data, options);
    } catch (error) {
      if (error.status === 'FER_EAGAIN') return false;
      throw error;
    }
    return true;
  }

  /** Send with options. */
  #pass(data, options, callback) {
    const { handles = NONE, keepOpen } = checkOptions(options);
    const keep = checkBoolean(keepOpen, 'options.keepOpen', false);
    const listener = bind(callback);
    const bytes = forAddon(data);
    const { fds, waits, settle } = passengers(handles, keep);
    if (fds.length === 0) {
      const number = this.#accepted(this.#handle.send(bytes, listener));
      tellSent(this, [bytes], 0);
      return number;
    }
    const onsent = (error) => {
      settle(error === null);
      listener?.(error);
    };
    let accepted = false;
    try {
      const number = this.#accepted(this.#handle.pass(bytes, waits ? onsent : listener, fds));
      accepted = true;
      tellSent(this, [bytes], fds.length);
      return number;
    } finally {
      if (!accepted || !waits) settle(accepted);
    }
  }

  /** What a send gave: an error when the message was refused. */
  #accepted(number) {
    if (number < 0) throw this.#sendError(number, native.detail());
    // Room that this one found is not news yet to who waits for it.
    if (number === 0) this.#full = true;
    return number;
  }

  /** Hold back what is sent from now on, so that it leaves together, until uncork(). */
  cork() {
    if (!this.#closing) check(this.#handle.cork(), 'cork');
    return this;
  }

  /** Let go of what cork() held back, and hold back no more. */
  uncork() {
    if (!this.#closing) check(this.#handle.uncork(), 'uncork');
    return this;
  }

  /** How many bytes of what was sent, headers included, the kernel never got. Final once the channel is closed. */
  get unsent() {
    return check(this.#handle.unsent(), 'unsent');
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

  /** The same as receive(). */
  recv(options) {
    return this.receive(options);
  }

  /**
   * Take the next message as an object, on any channel; otherwise as receive().
   *
   * @param {{ signal?: AbortSignal, timeout?: number }} [options] timeout in milliseconds
   * @returns {Promise<{ data: Buffer, handles: readonly import('./received.js').ReceivedHandle[] } | null>}
   */
  async recvMessage(options) {
    const data = await this.receive(options);
    return data === null ? null : { data, handles: data.handles ?? NONE };
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
    return infoOf(this.#handle);
  }

  /**
   * Count what has gone over the channel, which may be closed by now.
   *
   * @returns {{ messagesIn: number, messagesOut: number, bytesIn: number, bytesOut: number, handlesIn: number,
   *   handlesOut: number, queued: number, highWaterHits: number }} bytes are those of the payloads
   */
  stats() {
    return statsOf(this.#handle);
  }

  /**
   * Who is at the other end, as the system noted it when the connection was made. It throws where the system does
   * not tell, and once the channel is closed.
   *
   * @returns {{ pid: number | undefined, uid: number | undefined, gid: number | undefined }}
   */
  get peerCredentials() {
    return credentialsOf(this.#handle);
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
    const error = number === status.EOF ? null : ending(this.#lossy(statusError(number, 'receive', { detail })));
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
    this.#closed = { error: failed ? ending(this.#lossy(statusError(number, 'close', { detail }))) : null };
    this.#gone?.(this);
    this.#settleClosers();
    this.#emitClose();
    this.#drain();
  }

  /** An error that ends the channel says how much was lost. */
  #lossy(error) {
    error.unsent = this.unsent;
    return error;
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
    tell('closed', { channel: this, error: this.#closed.error ?? this.#peerEnd?.error ?? null });
    process.nextTick(() => this.emit('close'));
  }

  /** With captureRejections: a listener's promise was rejected. */
  [Symbol.for('nodejs.rejection')](error) {
    this.abort();
    this.emit('error', error);
  }
}

module.exports = { Channel, adoptChannel, openChannel, pairChannels, parentChannel };
