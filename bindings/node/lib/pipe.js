'use strict';

const native = require('./native.js');
const { checkMemory } = require('./bytes.js');
const { check, codedError, status, statusError } = require('./errors.js');
const { LARGEST, handleOf } = require('./handle.js');
const { passenger } = require('./objects.js');
const { checkBoolean, checkFunction, checkInteger, checkName, checkOptions } = require('./options.js');
const { Stream, connectStream, openedStream, submitWrite } = require('./stream.js');
const { TCP } = require('./tcp.js');
const { UDP } = require('./udp.js');

const KEEP_FILE = 1;
/** The names of the kinds, by their numbers. */
const KINDS = [null, 'pipe', 'tcp', 'udp', 'other'];
/** Passing failed with one of these before a byte was written: the pipe is as it was. */
const HARMLESS = new Set(['FER_EBADF', 'FER_ECLOSED', 'FER_EINVAL', 'FER_EMFILE', 'FER_ENOMEM', 'FER_ETOOMANYREFS']);

/** An option of the constructor: the addon's side, made elsewhere. */
const made = Symbol('ferrule.made');

/** The addon's side of a new pipe. */
function makeHandle(ipc) {
  const handle = new native.Pipe();
  check(handle.init(ipc), 'pipe');
  return handle;
}

/**
 * A pipe: a Unix domain socket (a named pipe on Windows), over which handles can be passed.
 *
 * As a connection it is a stream like any other. As a listener it emits 'connection', and accept() takes
 * the connection. 'close' comes once, at the end.
 */
class Pipe extends Stream {
  #ipc;
  #announcing = false;
  /** Chunk -> what is passed with it. */
  #passengers = new WeakMap();

  /**
   * @param {import('node:stream').DuplexOptions & { ipc?: boolean }} [options] of the stream; allowHalfOpen is
   *   false unless given, so that the end of the peer's data ends this side too. ipc: handles are passed over it
   */
  constructor(options) {
    const { ipc: given, [made]: handle, ...rest } = checkOptions(options);
    const ipc = checkBoolean(given, 'options.ipc', false);
    super(handle ?? makeHandle(ipc), rest);
    this.#ipc = ipc;
  }

  /**
   * Make two pipes that are connected to each other.
   *
   * @param {object} [options] as for the constructor
   * @returns {[Pipe, Pipe]}
   */
  static pair(options) {
    const given = checkOptions(options);
    const [a, b] = [new native.Pipe(), new native.Pipe()];
    check(a.pair(b, checkBoolean(given.ipc, 'options.ipc', false)), 'pair');
    const pipes = [new Pipe({ ...given, [made]: a }), new Pipe({ ...given, [made]: b })];
    for (const pipe of pipes) openedStream(pipe, true);
    return pipes;
  }

  /** Does nothing, as with a pipe of Node's own: what sets up a net.Socket takes a Pipe too. */
  setNoDelay() {
    return this;
  }

  /** Does nothing, as with a pipe of Node's own. */
  setKeepAlive() {
    return this;
  }

  /** Whether handles may be passed over the pipe. */
  get ipc() {
    return this.#ipc;
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
    check(handleOf(this, native.Pipe).bind(checkName(name), bits, keepFile ? KEEP_FILE : 0), 'bind', String(name));
    openedStream(this, false);
    return this;
  }

  /**
   * Connect to a listening pipe, waiting for room in its queue. A failure destroys the pipe.
   *
   * @param {string | Uint8Array | URL} name
   * @param {{ signal?: AbortSignal, timeout?: number }} [options] timeout in milliseconds
   * @returns {Promise<this>} after 'connect'
   */
  async connect(name, options) {
    handleOf(this, native.Pipe);
    const target = checkName(name);
    return connectStream(this, (handle) => handle.connect(target), String(name), options);
  }

  /**
   * Take the connection that waits, or the next handle that was received.
   *
   * @param {Pipe | TCP | UDP} [client] not open yet, and of the kind that waits; a new one unless given
   * @returns {Pipe | TCP | UDP} the client; it throws EAGAIN when nothing waits, and ERR_FERRULE_KIND, with
   *   nothing taken, for another kind
   */
  accept(client) {
    const accepted = super.accept(client);
    this.#announceLater();
    return accepted;
  }

  /** What accept() fills when it is given nothing. @private */
  _another() {
    switch (this.pendingHandleType) {
      case 'tcp':
        return new TCP();
      case 'udp':
        return new UDP();
      case 'other':
        throw statusError(status.EKIND, 'accept', { detail: 'a descriptor that is no handle waits: take it with acceptFd()' });
      default:
        return new Pipe();
    }
  }

  /**
   * Take the next handle that was received, of whatever kind, as a descriptor.
   *
   * @returns {number} the descriptor, which the caller must close
   */
  acceptFd() {
    const fd = check(handleOf(this, native.Pipe).acceptFd(), 'accept');
    this.#announceLater();
    return fd;
  }

  /** How many received handles wait to be accepted. */
  get pendingCount() {
    return handleOf(this, native.Pipe).pendingCount();
  }

  /** The kind of the next received handle: 'pipe', 'tcp', 'udp', or 'other'; null when none waits. */
  get pendingHandleType() {
    return KINDS[handleOf(this, native.Pipe).pendingKind()];
  }

  /** Handles have come with the data that is about to be pushed. @private */
  _received() {
    if (this.#announcing) return;
    this.#announcing = true;
    try {
      let count = this.pendingCount;
      // What nobody takes waits.
      for (let before = count + 1; count > 0 && count < before && !this.destroyed; count = this.pendingCount) {
        before = count;
        this.emit('handle', this.pendingHandleType);
      }
    } finally {
      this.#announcing = false;
    }
  }

  /** One was taken outside of 'handle': tell of the next one. */
  #announceLater() {
    if (!this.#announcing && this.pendingCount > 0) {
      process.nextTick(() => {
        if (!this.destroyed && this.pendingCount > 0) this._received();
      });
    }
  }

  /**
   * Write data, and pass a handle with its first byte. It stays usable here, and open until the kernel has it;
   * one of Node's own objects is closed then, unless keepOpen is given.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike} chunk at least one byte
   * @param {Pipe | TCP | UDP | import('./received.js').ReceivedHandle | import('node:net').Socket | import('node:net').Server | import('node:dgram').Socket | number} handle
   *   a number is a descriptor, which must stay open until the callback
   * @param {{ keepOpen?: boolean } | ((error: Error | null) => void)} [options]
   * @param {(error: Error | null) => void} [callback] the kernel has it, or it failed. Without one, a failure
   *   destroys the pipe
   * @returns {boolean} as write()
   */
  writeHandle(chunk, handle, options, callback) {
    handleOf(this, native.Pipe);
    const listener = typeof options === 'function' ? options : callback;
    const { keepOpen } = checkOptions(typeof options === 'function' ? undefined : options);
    const keep = checkBoolean(keepOpen, 'options.keepOpen', false);
    if (listener !== undefined) checkFunction(listener, 'callback');
    // Its own memory: it tells this chunk from others in the stream's queue.
    const bytes = copyBytes(chunk);
    if (!this.#ipc) throw statusError(status.EINVAL, 'writeHandle', { detail: 'the pipe was made without ipc' });
    if (bytes.length === 0) throw statusError(status.EINVAL, 'writeHandle', { detail: 'a handle rides on a byte: there is none' });
    if (handle === this) throw statusError(status.EINVAL, 'writeHandle', { detail: 'a pipe cannot be passed over itself' });
    const entry = { ...passenger(handle, keep, 'writeHandle'), error: null };
    this.#passengers.set(bytes, entry);
    return super.write(bytes, 'buffer', (failure) => {
      const error = failure ?? entry.error;
      if (!error) entry.sent();
      entry.release();
      if (listener !== undefined) listener(error ?? null);
      else if (error && !failure) this.destroy(error);
    });
  }

  /** @private */
  _write(chunk, encoding, callback) {
    const entry = this.#passengers.get(chunk);
    if (entry === undefined) super._write(chunk, encoding, callback);
    else this.#pass(chunk, entry, callback);
  }

  /** @private */
  _writev(entries, callback) {
    const next = (from) => {
      let to = from;
      while (to < entries.length && !this.#passengers.has(entries[to].chunk)) to += 1;
      const go = (end) => (error) => {
        if (error || end === entries.length) callback(error);
        else next(end);
      };
      if (to > from) super._writev(entries.slice(from, to), go(to));
      else this.#pass(entries[from].chunk, this.#passengers.get(entries[from].chunk), go(from + 1));
    };
    next(0);
  }

  #pass(chunk, entry, callback) {
    const handle = handleOf(this, native.Pipe);
    submitWrite(this, () => handle.pass(chunk, entry.target()), (error) => {
      if (error && HARMLESS.has(error.status)) {
        entry.error = error;
        callback();
      } else {
        callback(error);
      }
    }, chunk.byteLength);
  }

  /**
   * The name that the pipe is bound to, or its listener was; empty when it has none.
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

  #name(peer, syscall, options) {
    const { encoding = 'utf8' } = checkOptions(options);
    const name = handleOf(this, native.Pipe).name(peer);
    if (typeof name === 'number') check(name, syscall);
    return encoding === 'buffer' ? name : name.toString(encoding);
  }

  /**
   * Change the permission bits of the socket file of a bound pipe.
   *
   * @param {number} mode up to 0o777
   * @returns {this}
   */
  chmod(mode) {
    check(handleOf(this, native.Pipe).chmod(checkInteger(mode, 'mode', 0, 0o777, -1)), 'chmod');
    return this;
  }

  /**
   * Choose how many instances of a named pipe wait for connections. Has an effect on Windows only.
   *
   * @param {number} count
   * @returns {this}
   */
  pendingInstances(count) {
    check(handleOf(this, native.Pipe).pendingInstances(checkInteger(count, 'count', 1, LARGEST, 0)), 'pendingInstances');
    return this;
  }

  /**
   * Who is at the other end, as the kernel noted it when the connection was made.
   *
   * @returns {{ pid: number | null, uid: number, gid: number }} pid is null where the system does not tell
   */
  peerCredentials() {
    const who = handleOf(this, native.Pipe).credentials();
    if (typeof who === 'number') check(who, 'peerCredentials');
    const [pid, uid, gid] = who;
    return { pid: pid < 0 ? null : pid, uid, gid };
  }
}

function copyBytes(chunk) {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (ArrayBuffer.isView(chunk)) {
    checkMemory(chunk);
    return Buffer.from(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
  }
  if (chunk instanceof ArrayBuffer || chunk instanceof SharedArrayBuffer) return Buffer.from(new Uint8Array(chunk));
  throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'chunk must be a string, a Buffer, a TypedArray, a DataView or an ArrayBuffer');
}

module.exports = { KINDS, Pipe };
