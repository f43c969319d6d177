'use strict';

const { Duplex } = require('node:stream');
const native = require('./native.js');
const { abortError, check, codedError, status, statusError } = require('./errors.js');
const { forAddon } = require('./bytes.js');
const { checkFunction, checkInteger, checkName, checkOptions, checkSignal, checkTime } = require('./options.js');

const KEEP_FILE = 1;
const MOST_CONNECTIONS = 0x7fffffff;

/** Addon object -> Pipe. */
const pipes = new WeakMap();

/** Have the addon's calls reach a method of the Pipe. */
function forward(name, deliver) {
  native.register(name, function onPipe(...args) {
    const pipe = pipes.get(this);
    if (pipe !== undefined) deliver(pipe, ...args);
  });
}

/**
 * A pipe: a Unix domain socket (a named pipe on Windows).
 *
 * As a connection it is a stream like any other. As a listener it emits 'connection', and accept() takes
 * the connection. 'close' comes once, at the end.
 */
class Pipe extends Duplex {
  #handle;
  /** A call that opens the pipe has succeeded. */
  #opened = false;
  #connected = false;
  #connecting = null;
  #reading = false;
  #wantsRead = false;
  #written = null;
  #shut = null;
  #destroyed = null;

  /**
   * @param {import('node:stream').DuplexOptions} [options] of the stream; allowHalfOpen is false unless given,
   *   so that the end of the peer's data ends this side too
   */
  constructor(options) {
    const given = checkOptions(options);
    super({ allowHalfOpen: false, ...given, decodeStrings: true, objectMode: false, emitClose: true, autoDestroy: true });
    this.#handle = new native.Pipe();
    check(this.#handle.init(), 'pipe');
    pipes.set(this.#handle, this);
  }

  static {
    forward('pipeConnection', (pipe, number, detail) => pipe.#onConnection(number, detail));
    forward('pipeConnected', (pipe, number, detail) => pipe.#connecting?.(number, detail));
    forward('pipeRead', (pipe, number, data) => pipe.#onRead(number, data));
    forward('pipeWritten', (pipe, number, detail) => pipe.#onWritten(number, detail));
    forward('pipeShut', (pipe, number, detail) => pipe.#onShut(number, detail));
    forward('pipeClosed', (pipe) => pipe.#onClosed());
  }

  /**
   * Bind to a name, safely: only the owner can connect unless `mode` says otherwise, a stale socket is
   * replaced, a live one is EADDRINUSE.
   *
   * @param {string | Uint8Array | URL} name a path, or an abstract name, which starts with a NUL (Linux)
   * @param {{ mode?: number, keepFile?: boolean }} [options]
   * @returns {this}
   */
  bind(name, options) {
    const { mode, keepFile = false } = checkOptions(options);
    const bits = checkInteger(mode, 'options.mode', 1, 0o777, 0);
    check(this.#handle.bind(checkName(name), bits, keepFile ? KEEP_FILE : 0), 'bind', String(name));
    this.#opened = true;
    return this;
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
    check(this.#handle.listen(checkInteger(most, 'backlog', 1, MOST_CONNECTIONS, 0)), 'listen');
    if (listener !== undefined) this.on('connection', listener);
    return this;
  }

  /**
   * Take the connection that waits.
   *
   * @param {Pipe} [client] a pipe that is not open yet; a new one unless given
   * @returns {Pipe} the client; it throws EAGAIN when no connection waits
   */
  accept(client = new Pipe()) {
    if (!(#handle in client)) throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'client must be a Pipe');
    check(this.#handle.accept(client.#handle), 'accept');
    client.#onOpen();
    return client;
  }

  /**
   * Connect to a listening pipe. A failure destroys the pipe.
   *
   * @param {string | Uint8Array | URL} name
   * @param {{ signal?: AbortSignal, timeout?: number }} [options] timeout in milliseconds
   * @returns {Promise<this>} after 'connect'
   */
  async connect(name, options) {
    const { signal, timeout } = checkOptions(options);
    checkSignal(signal);
    const time = checkTime(timeout, 'options.timeout');
    const target = checkName(name);
    const address = String(name);
    if (signal?.aborted) {
      this.destroy();
      throw abortError(signal);
    }
    const number = this.#handle.connect(target);
    if (number < 0) {
      const error = statusError(number, 'connect', { detail: native.detail(), address });
      // A pipe that is open, or about to be, stays what it is.
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
        this.#onOpen();
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

  /**
   * Make it a pipe of a connected or listening socket of the Unix domain, which it owns from then on.
   *
   * @param {number} fd
   * @returns {this}
   */
  open(fd) {
    check(this.#handle.open(checkInteger(fd, 'fd', 0, MOST_CONNECTIONS, -1)), 'open');
    this.#onOpen();
    return this;
  }

  /** The descriptor. It stays the pipe's. */
  fileno() {
    return check(this.#handle.fileno(), 'fileno');
  }

  /**
   * Write as much as the kernel takes now, past the stream's own queue.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike} data
   * @returns {number} how many bytes were written; 0 when earlier writes are not done or nothing fits
   */
  tryWrite(data) {
    if (this.writableLength > 0) return 0;
    const written = this.#handle.tryWrite(forAddon(data));
    return written === status.EAGAIN ? 0 : check(written, 'write');
  }

  /** How many bytes wait in the library, beside the stream's own writableLength. */
  get writeQueueSize() {
    return this.#handle.writeQueueSize();
  }

  /**
   * The name that the pipe is bound to; empty when it has none.
   *
   * @param {{ encoding?: BufferEncoding | 'buffer' }} [options]
   * @returns {string | Buffer}
   */
  getsockname(options) {
    return this.#name(false, 'getsockname', options);
  }

  /**
   * The name that the peer is bound to; empty when it has none.
   *
   * @param {{ encoding?: BufferEncoding | 'buffer' }} [options]
   * @returns {string | Buffer}
   */
  getpeername(options) {
    return this.#name(true, 'getpeername', options);
  }

  /** Keep Node from exiting while the pipe waits for something, as it does at first. */
  ref() {
    if (!this.destroyed) check(this.#handle.hold(true), 'ref');
    return this;
  }

  /** Let Node exit though the pipe is open. */
  unref() {
    if (!this.destroyed) check(this.#handle.hold(false), 'unref');
    return this;
  }

  #name(peer, syscall, options) {
    const { encoding = 'utf8' } = checkOptions(options);
    const name = this.#handle.name(peer);
    if (typeof name === 'number') check(name, syscall);
    return encoding === 'buffer' ? name : name.toString(encoding);
  }

  #onOpen() {
    this.#opened = true;
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

  #onRead(number, data) {
    if (number === 0) {
      if (!this.push(data) && this.#reading) this.#stopReading();
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
    this.#write(forAddon(chunk), callback);
  }

  /** Everything that gathered while the write before was under way leaves in one. @private */
  _writev(entries, callback) {
    this.#write(forAddon(entries.map((entry) => entry.chunk)), callback);
  }

  #write(data, callback) {
    if (this.#connecting !== null) {
      this.#whenConnected(() => this.#write(data, callback), callback);
      return;
    }
    const number = this.#handle.write(data);
    if (number < 0) callback(statusError(number, 'write', { detail: native.detail() }));
    else if (number === 1) callback();
    else this.#written = callback;
  }

  #onWritten(number, detail) {
    const callback = this.#written;
    this.#written = null;
    callback?.(number < 0 ? statusError(number, 'write', { detail }) : null);
  }

  /** @private */
  _final(callback) {
    if (this.#connecting !== null) {
      this.#whenConnected(() => this._final(callback), callback);
      return;
    }
    const number = this.#handle.shutdown();
    // A pipe that was never connected has nothing to end.
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
  _destroy(error, callback) {
    const number = this.#handle.close();
    if (number < 0) {
      callback(error ?? statusError(number, 'close', { detail: native.detail() }));
      return;
    }
    this.#reading = false;
    this.#connected = false;
    this.#destroyed = () => callback(error);
  }

  #onClosed() {
    const callback = this.#destroyed;
    this.#destroyed = null;
    callback?.();
  }
}

module.exports = { Pipe };
