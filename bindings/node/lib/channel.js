'use strict';

const EventEmitter = require('node:events');
const native = require('./native.js');
const { abortError, check, codedError, status, statusError } = require('./errors.js');
const { checkOptions, checkSignal } = require('./options.js');
const { credentialsOf, infoOf, statsOf } = require('./access.js');
const { tell, tellReceived } = require('./diagnostics.js');
const { unpack } = require('./inbox.js');
const { carries, ending, untilOpen } = require('./opening.js');
const { Outbox } = require('./outbox.js');
const { NONE, Receiver } = require('./receiver.js');
const { checkMessages, sendAll } = require('./sending.js');

/** Only this package makes channels: connect() and listen() give them out. */
const token = Symbol('ferrule.channel');

/** What a message is refused or lost with when that is no more than the end of the channel. */
const GONE = new Set([status.EPIPE, status.ECONNRESET, status.ECLOSED, status.ECANCELED]);

/** When a channel keeps Node from exiting, as the library numbers it. */
const HOLD = { never: 0, waiting: 1, sending: 2 };

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
 * room again after there was none, and when there never will be because the channel ended.
 */
class Channel extends EventEmitter {
  #handle;
  #receiver;
  #outbox;
  /** Called at the end of a connect that is under way. */
  #opening = null;
  /** { error } when the peer has ended; null in it after its goodbye. */
  #peerEnd = null;
  #closing = false;
  #aborted = false;
  /** { error } when the close has ended; null in it when all was well. */
  #closed = null;
  /** There was no room, and 'drain' has not come yet. */
  #full = false;
  /** Whether it may keep Node from exiting, and when the addon's object does. */
  #refd = true;
  #held = HOLD.waiting;
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
    this.#receiver = new Receiver(handle, this, carries(options), () => this.#emitClose(), () => this.#hold());
    this.#outbox = new Outbox(handle, this, options.numbers[4], {
      failure: (number, detail) => this.#sendError(number, detail),
      tells: () => this.#receiver.started,
      full: () => { this.#full = true; },
      lost: (number, detail) => { if (number === status.ENOMEM) this.#onEnded(number, detail); },
    });
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
    forward('channelFlushed', (channel, number, detail) => channel.#outbox.onFlushed(number, detail));
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
   * It is accepted whole, or refused whole: then the promise is rejected. Bytes from 64 KiB up are not copied: they must
   * not change until the kernel has them.
   *
   * Handles go with the message, delivered together with it or not at all. They stay usable here, and may be
   * closed at once; one of Node's own objects is closed once the kernel has it, unless keepOpen is given.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike | Array<string | ArrayBufferView | ArrayBufferLike>} data
   * @param {{ handles?: unknown[], keepOpen?: boolean }} [options] handles: up to 64, each a Pipe, TCP or UDP, a
   *   ReceivedHandle, a net.Socket, net.Server or dgram.Socket, or a descriptor
   * @returns {Promise<void>} the kernel has the whole message. Nobody has to wait for it: what was accepted and then lost
   *   is told by how the channel ends. A message that was refused is an unhandled rejection then
   */
  send(data, options) {
    return this.#outbox.send(data, options);
  }

  /**
   * Wait until everything that was sent so far has left, also what cork() holds back.
   *
   * @returns {Promise<void>} the kernel has it
   */
  flush() {
    return this.#outbox.flush();
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
    const outbox = this.#outbox;
    if (list.length > 0) await sendAll(this, list, (data) => outbox.pushAgain(data), () => outbox.sent(), signal);
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
      this.#outbox.push(data, options);
    } catch (error) {
      if (error.status === 'FER_EAGAIN') return false;
      throw error;
    }
    return true;
  }

  /** Hold back what is sent from now on, so that it leaves together, until uncork(). */
  cork() {
    if (!this.#closing) this.#outbox.cork();
    return this;
  }

  /** Let go of what cork() held back, and hold back no more. */
  uncork() {
    if (!this.#closing) this.#outbox.uncork();
    return this;
  }

  /** How many bytes of what was sent, headers included, the kernel never got. Final once the channel is closed. */
  get unsent() {
    this.#outbox.deliver();
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
    return options === undefined ? this.#receiver.take() : this.#receiver.receive(options);
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

  /** As EventEmitter's. Without a listener of 'message', messages wait. */
  removeListener(name, listener) {
    super.removeListener(name, listener);
    this.#receiver.update();
    return this;
  }

  /** The same as removeListener(). */
  off(name, listener) {
    return this.removeListener(name, listener);
  }

  /** As EventEmitter's. */
  removeAllListeners(...names) {
    super.removeAllListeners(...names);
    this.#receiver.update();
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
    return this.#outbox.writable;
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
    this.#outbox.deliver();
    return infoOf(this.#handle);
  }

  /**
   * Count what has gone over the channel, which may be closed by now.
   *
   * @returns {{ messagesIn: number, messagesOut: number, bytesIn: number, bytesOut: number, handlesIn: number,
   *   handlesOut: number, queued: number, highWaterHits: number }} bytes are those of the payloads
   */
  stats() {
    this.#outbox.deliver();
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
        this.#outbox.end();
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
    if (!this.#closing) this.#outbox.abort();
    check(this.#handle.abort(), 'abort');
    this.#aborted ||= !this.#closing;
    this.#closing = true;
    this.#receiver.stop();
  }

  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.close();
  }

  /**
   * Keep Node from exiting, as it does at first, while somebody waits for messages, with a listener of 'message' or in
   * receive(), and while something that was sent waits for the kernel.
   */
  ref() {
    this.#refd = true;
    this.#hold();
    return this;
  }

  /** Let Node exit though the channel is open. */
  unref() {
    this.#refd = false;
    this.#hold();
    return this;
  }

  /** Have the addon's object keep Node from exiting when it should. One that closes does in any case. */
  #hold() {
    const waiting = this.#receiver.waits ? HOLD.waiting : HOLD.sending;
    const wanted = this.#refd ? waiting : HOLD.never;
    if (wanted === this.#held || this.#closing) return;
    check(this.#handle.hold(wanted), 'hold');
    this.#held = wanted;
  }

  /** Why a message was refused: how the peer ended, when that is what closed this side. */
  #sendError(number, detail) {
    if (number === status.ECLOSED && this.#peerEnd !== null) {
      return this.#peerEnd.error ?? ending(statusError(status.EPIPE, 'send'));
    }
    const error = statusError(number, 'send', { detail });
    return GONE.has(number) ? ending(error) : error;
  }

  /** The peer said goodbye, died, or broke the protocol. Nothing can be sent to it any more. */
  #onEnded(number, detail) {
    if (this.#closing) return;
    this.#closing = true;
    const error = number === status.EOF ? null : ending(this.#lossy(statusError(number, 'receive', { detail })));
    this.#peerEnd = { error };
    this.#outbox.end();
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
    // By its name: other objects have an abort() of their own.
    Channel.prototype.abort.call(this);
    this.emit('error', error);
  }
}

module.exports = { Channel, adoptChannel, openChannel, pairChannels, parentChannel };
