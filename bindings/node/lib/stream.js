'use strict';

/** What pipes and TCP sockets have in common. */

const { Duplex, addAbortSignal } = require('node:stream');
const native = require('./native.js');
const { abortError, check, codedError, status, statusError } = require('./errors.js');
const { checkMemory, forAddon } = require('./bytes.js');
const { LARGEST, forward, handleOf, isHandle, own, whenUnused, withHandle } = require('./handle.js');
const { withIdle } = require('./idle.js');
const { toServer, toSocket } = require('./objects.js');
const { checkBoolean, checkFunction, checkInteger, checkOptions, checkSignal, checkTime } = require('./options.js');

/** Memory that can shrink while it waits in the stream's queue must be copied. */
function fixed(chunk) {
  return ArrayBuffer.isView(chunk) && checkMemory(chunk).buffer.resizable === true
    ? Buffer.from(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    : chunk;
}

/** Of the class, for the classes of the kinds. */
let connectStream;
let openedStream;
let submitWrite;

/**
 * A handle that carries bytes, as a stream.
 *
 * As a listener it emits 'connection', and accept() takes the connection. 'close' comes once, at the end.
 */
class Stream extends withIdle(withHandle(Duplex)) {
  #handle;
  /** A call that opens the handle has succeeded. */
  #opened = false;
  #connected = false;
  #connecting = null;
  #reading = false;
  #wantsRead = false;
  #written = null;
  #shut = null;
  #destroyed = null;
  /** Bytes that were read, that were given to the addon to write, and of those that it has not told the end of. */
  #read = 0;
  #sent = 0;
  #sending = 0;

  /**
   * @param {object} handle of the addon
   * @param {import('node:stream').DuplexOptions} options
   */
  constructor(handle, options) {
    const { signal, ...rest } = options;
    super({ allowHalfOpen: false, ...rest, decodeStrings: true, objectMode: false, emitClose: true, autoDestroy: true });
    this.#handle = handle;
    own(this, handle);
    // Now: one that has fired already destroys the stream at once.
    if (signal !== undefined) addAbortSignal(signal, this);
  }

  static {
    forward('streamConnection', (stream, number, detail) => stream.#onConnection(number, detail));
    forward('streamConnected', (stream, number, detail) => stream.#connecting?.(number, detail));
    forward('streamRead', (stream, number, data, pending) => stream.#onRead(number, data, pending));
    forward('streamWritten', (stream, number, detail) => stream.#onWritten(number, detail));
    forward('streamShut', (stream, number, detail) => stream.#onShut(number, detail));
    connectStream = (stream, start, address, options) => stream.#connect(start, address, options);
    openedStream = (stream, connected) => stream.#onOpen(connected);
    submitWrite = (stream, call, callback, size) => stream.#submit(call, callback, size);
  }

  /**
   * Accept connections. Each one that waits is a 'connection' event.
   *
   * @param {number | (() => void)} [backlog] how many the system keeps waiting; 511 unless given
   * @param {() => void} [onconnection] a listener of 'connection'
   * @returns {this}
   */
  listen(backlog, onconnection) {
    const listener = typeof backlog === 'function' ? backlog : onconnection;
    const most = typeof backlog === 'function' ? undefined : backlog;
    if (listener !== undefined) checkFunction(listener, 'onconnection');
    check(handleOf(this).listen(checkInteger(most, 'backlog', 1, LARGEST, 0)), 'listen');
    if (listener !== undefined) this.on('connection', listener);
    return this;
  }

  /**
   * Take the connection that waits.
   *
   * @param {Stream} [client] of the same kind, not open yet; a new one unless given
   * @returns {Stream} the client; it throws EAGAIN when no connection waits
   */
  accept(client = this._another()) {
    if (!isHandle(client)) throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'client must be a Pipe, TCP or UDP');
    check(handleOf(this).accept(handleOf(client)), 'accept');
    if (client instanceof Stream) client.#onOpen(true);
    return client;
  }

  /**
   * Make it the stream of a socket, which it owns from then on.
   *
   * @param {number} fd connected, or listening
   * @returns {this}
   */
  open(fd) {
    check(handleOf(this).open(checkInteger(fd, 'fd', 0, LARGEST, -1)), 'open');
    this.#onOpen(true);
    return this;
  }

  /**
   * Set the blocking mode of the descriptor, for others that have it too: the stream itself never blocks.
   *
   * @param {boolean} on
   * @returns {this}
   */
  setBlocking(on) {
    check(handleOf(this).setBlocking(checkBoolean(on, 'on', true)), 'setBlocking');
    return this;
  }

  /**
   * Make a net.Socket of a connection. This object closes.
   *
   * @param {import('node:net').SocketConstructorOpts} [options]
   * @returns {import('node:net').Socket}
   */
  toSocket(options) {
    return toSocket(this, options);
  }

  /**
   * Make a net.Server of a listener, bound or listening. This object closes.
   *
   * @param {import('node:net').ServerOpts} [options]
   * @param {(socket: import('node:net').Socket) => void} [onconnection]
   * @returns {import('node:net').Server} it emits 'listening'
   */
  toServer(options, onconnection) {
    return toServer(this, options, onconnection);
  }

  /**
   * Write as much as the kernel takes now, past the stream's own queue.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike} data
   * @returns {number} how many bytes were written; 0 when earlier writes are not done or nothing fits
   */
  tryWrite(data) {
    const handle = handleOf(this);
    if (this.writableLength > 0) return 0;
    const written = handle.tryWrite(forAddon(data));
    if (written === status.EAGAIN) return 0;
    this.#sent += check(written, 'write');
    this._active();
    return written;
  }

  /** How many bytes were read from the system. */
  get bytesRead() {
    return this.#read;
  }

  /** How many bytes were given to be written, those that wait included. */
  get bytesWritten() {
    return this.#sent + Math.max(0, this.writableLength - this.#sending);
  }

  /** Whether a connect is under way. */
  get connecting() {
    return this.#connecting !== null;
  }

  /** Whether the stream is not connected: not yet, not any more, or a listener. */
  get pending() {
    return !this.#connected;
  }

  /** 'opening', 'open', 'readOnly', 'writeOnly' or 'closed'. */
  get readyState() {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Write what was given, then destroy the stream. */
  destroySoon() {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  /** How many bytes wait in the library, beside the stream's own writableLength. */
  get writeQueueSize() {
    return handleOf(this).writeQueueSize();
  }

  write(chunk, encoding, callback) {
    return super.write(fixed(chunk), encoding, callback);
  }

  end(chunk, encoding, callback) {
    return super.end(fixed(chunk), encoding, callback);
  }

  /** Start a connect, and wait for its end. A failure destroys the stream. */
  async #connect(start, address, options) {
    const { signal, timeout } = checkOptions(options);
    checkSignal(signal);
    const time = checkTime(timeout, 'options.timeout');
    if (signal?.aborted) {
      this.destroy();
      throw abortError(signal);
    }
    const number = start(this.#handle);
    if (number < 0) {
      const error = statusError(number, 'connect', { detail: native.detail(), address });
      // A stream that is open, or about to be, stays what it is.
      if (!this.#opened && this.#connecting === null) this.destroy();
      throw error;
    }
    await this.#connection(address, signal, time);
    return this;
  }

  /** Wait for the end of a connect that is under way. */
  #connection(address, signal, time) {
    return new Promise((resolve, reject) => {
      let timer;
      const settle = (error) => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onabort);
        this.#connecting = null;
        if (error) {
          reject(error);
          this.destroy();
          return;
        }
        resolve();
        this._active();
        this.#onOpen(true);
        this.emit('connect');
      };
      const onabort = () => settle(abortError(signal));
      this.#connecting = (number, detail) => {
        settle(number < 0 ? statusError(number, 'connect', { detail, address }) : null);
      };
      signal?.addEventListener('abort', onabort, { once: true });
      if (time > 0) {
        timer = setTimeout(() => settle(statusError(status.ETIMEDOUT, 'connect', { address })), time);
      }
    });
  }

  #onOpen(connected) {
    this.#opened = true;
    if (!connected) return;
    this.#connected = true;
    if (this.#wantsRead) this._read();
  }

  #onConnection(number, detail) {
    if (number < 0) this.emit('error', statusError(number, 'accept', { detail }));
    else this.emit('connection');
  }

  /** The stream wants data. @private */
  _read() {
    this.#wantsRead = true;
    if (!this.#connected || this.#reading || this.destroyed) return;
    const number = this.#handle.readStart();
    if (number < 0) this.destroy(statusError(number, 'read', { detail: native.detail() }));
    else this.#reading = true;
  }

  #onRead(number, data, pending) {
    if (this.destroyed) return;
    if (number === 0) {
      this.#read += data.byteLength;
      this._active();
      try {
        if (pending !== 0) this._received();
      } finally {
        // A listener may have thrown, which must not cost the data, or have destroyed the stream.
        if (!this.destroyed && !this.push(data) && this.#reading) this.#stopReading();
      }
      return;
    }
    this.#reading = false;
    if (number === status.EOF) this.#onEnd();
    else this.destroy(statusError(number, 'read', { detail: data }));
  }

  #stopReading() {
    this.#wantsRead = false;
    if (this.destroyed) return;
    this.#reading = false;
    check(this.#handle.readStop(), 'read');
  }

  #onEnd() {
    this.push(null);
    // Without data that waits to be read, 'end' has to be asked for.
    if (this.readableLength === 0) this.read(0);
  }

  /** @private */
  _write(chunk, encoding, callback) {
    this.#submit(() => this.#handle.write(chunk), callback, chunk.byteLength);
  }

  /** Everything that gathered while the write before was under way leaves in one. @private */
  _writev(entries, callback) {
    const size = entries.reduce((total, entry) => total + entry.chunk.byteLength, 0);
    this.#submit(() => this.#handle.write(entries.map((entry) => entry.chunk)), callback, size);
  }

  /** Have the addon write: `call` gives 1 when it is done, 0 when that is told later, or a status. */
  #submit(call, callback, size) {
    if (this.#connecting !== null) {
      this.#whenConnected(() => this.#submit(call, callback, size), callback);
      return;
    }
    this._active();
    this.#sent += size;
    this.#sending = size;
    let number;
    try {
      number = call();
    } catch (cause) {
      callback(refusedWrite(cause));
      return;
    }
    if (number < 0) callback(statusError(number, 'write', { detail: native.detail() }));
    else if (number === 1) this.#onSubmitted(callback);
    else this.#written = callback;
  }

  #onSubmitted(callback) {
    this.#sending = 0;
    callback();
  }

  #onWritten(number, detail) {
    const callback = this.#written;
    this.#written = null;
    this.#sending = 0;
    this._active();
    callback?.(number < 0 ? statusError(number, 'write', { detail }) : null);
  }

  /** @private */
  _final(callback) {
    if (this.#connecting !== null) {
      this.#whenConnected(() => this._final(callback), callback);
      return;
    }
    const number = this.#handle.shutdown();
    // A stream that was never connected has nothing to end.
    if (number === status.ENOTCONN) callback();
    else if (number < 0) callback(statusError(number, 'shutdown', { detail: native.detail() }));
    else this.#shut = callback;
  }

  #onShut(number, detail) {
    const callback = this.#shut;
    this.#shut = null;
    // The peer went away first: then there is nobody to tell.
    const gone = number === status.ENOTCONN || number === status.EPIPE;
    callback?.(number < 0 && !gone ? statusError(number, 'shutdown', { detail }) : null);
  }

  #whenConnected(go, fail) {
    const onconnect = () => {
      this.off('close', onclose);
      go();
    };
    const onclose = () => {
      this.off('connect', onconnect);
      fail(statusError(status.ECANCELED, 'write'));
    };
    this.once('connect', onconnect);
    this.once('close', onclose);
  }

  /** @private */
  _beforeDetach() {
    const waits = this.readableLength > 0 ? 'data waits to be read' : 'something waits to be written';
    if (this.readableLength + this.writableLength > 0) throw statusError(status.EBUSY, 'detach', { detail: waits });
  }

  /** @private */
  _afterDetach() {
    this.destroy();
  }

  /** @private */
  _destroy(error, callback) {
    this._stopIdle();
    whenUnused(this, () => {
      const number = this.#handle.close();
      if (number < 0) {
        callback(error ?? statusError(number, 'close', { detail: native.detail() }));
        return;
      }
      this.#reading = false;
      this.#connected = false;
      this.#destroyed = () => callback(error);
    });
  }

  /** The handle is closed. @private */
  _onHandleClosed() {
    const callback = this.#destroyed;
    this.#destroyed = null;
    callback?.();
  }
}

/** What a write that threw is told as. */
function refusedWrite(cause) {
  if (cause.status !== undefined) return cause;
  // Its memory was there when it was queued, and is not any more.
  const error = statusError(status.EINVAL, 'write', { detail: 'the memory of the data was given away before it was written' });
  error.cause = cause;
  return error;
}

forward('handleClosed', (object) => object._onHandleClosed());

module.exports = { Stream, connectStream, openedStream, submitWrite };
