'use strict';

/** Two programs that find each other: the rendezvous of aea's `make_ipc_channel`, on the plain wire. */

const { abortError, check, codedError, status, statusError } = require('./errors.js');
const native = require('./native.js');
const { channelOptions, checkOptions, checkSignal, checkTime, typeError } = require('./options.js');
const { openChannel } = require('./channel.js');
const { openServer } = require('./server.js');

/** Only the functions below make them. */
const token = Symbol('ferrule.ipc');

/** How long connect() waits unless told otherwise. */
const TIMEOUT = 10_000;
/** A peer on the plain wire need not answer a goodbye: so long may it take. */
const ANSWER = 1000;

/** What a connect ends with when nobody was there in time. */
const NOBODY = new Set(['FER_ETIMEDOUT', 'FER_ENOENT', 'FER_ECONNREFUSED']);

function optionsFor(options) {
  return channelOptions({ wire: 'plain', closeTimeout: ANSWER, ...options });
}

/** A time limit and a signal, from what connect() is given. */
function waitOptions(given) {
  const { timeout = TIMEOUT, signal } = typeof given === 'number' ? { timeout: given } : checkOptions(given);
  checkTime(timeout, 'timeout');
  return { timeout, signal: checkSignal(signal) };
}

/**
 * The side that was told where to meet. Both sides have these members.
 *
 * It is made by makeIpcChannelClient().
 */
class IpcChannelClient {
  #inPath;
  #outPath;
  #channel = null;
  #connecting = false;
  #closed = false;
  /** Gives up the connect that is under way. */
  #stop = null;

  /** Not for callers: makeIpcChannel() and makeIpcChannelClient() give them out. */
  constructor(key, inPath, outPath) {
    if (key !== token) {
      throw codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'they come from makeIpcChannel() and makeIpcChannelClient()');
    }
    this.#inPath = inPath;
    this.#outPath = outPath;
  }

  /** The rendezvous point for what this side receives: the path of a FIFO, or a port. */
  get inPath() {
    return this.#inPath;
  }

  /** The rendezvous point for what this side sends. */
  get outPath() {
    return this.#outPath;
  }

  /**
   * Wait for the other side. After a failure, it may be tried again.
   *
   * @param {number | { timeout?: number, signal?: AbortSignal }} [options] the timeout in milliseconds, 10 seconds
   *   unless given; Infinity for no limit
   * @returns {Promise<boolean>} false when nobody was there in time
   */
  async connect(options) {
    const { timeout, signal } = waitOptions(options);
    if (signal?.aborted) throw abortError(signal);
    if (this.#closed) throw statusError(status.ECLOSED, 'connect');
    if (this.#channel !== null) throw statusError(status.EISCONN, 'connect');
    if (this.#connecting) throw statusError(status.EALREADY, 'connect');
    this.#connecting = true;
    this.#stop = new AbortController();
    const onabort = () => this.#stop.abort();
    signal?.addEventListener('abort', onabort, { once: true });
    try {
      this.#channel = await this._meet(timeout, this.#stop.signal);
    } catch (error) {
      if (signal?.aborted) throw abortError(signal);
      if (this.#closed) throw statusError(status.ECANCELED, 'connect');
      throw error;
    } finally {
      this.#connecting = false;
      signal?.removeEventListener('abort', onabort);
    }
    return this.#channel !== null;
  }

  /**
   * Send a message of at least one byte.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike | Array<string | ArrayBufferView | ArrayBufferLike>} data
   * @returns {Promise<void>} the kernel has the whole message
   */
  async write(data) {
    await this.#open('write').send(data);
  }

  /**
   * Wait for a message. When it is aborted or out of time, no message was taken.
   *
   * @param {{ signal?: AbortSignal, timeout?: number }} [options] timeout in milliseconds; without limit unless given
   * @returns {Promise<Buffer | null>} null at the end
   */
  async read(options) {
    return this.#open('read').receive(options);
  }

  /**
   * Flush, say goodbye, close, and remove what was made. The peer has a second to answer; one that does not, though
   * everything was flushed, is no error. On a side that never connected, or is closed, it only cleans up.
   *
   * @returns {Promise<void>}
   */
  async close() {
    this.#closed = true;
    this.#stop?.abort();
    const channel = this.#channel;
    this.#channel = null;
    try {
      await channel?.close();
    } catch (error) {
      if (error.status !== 'FER_ETIMEDOUT' || error.unsent > 0) throw error;
    } finally {
      await this._cleanUp();
    }
  }

  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.close();
  }

  /** The channel to the other side; null when nobody was there in time. @private */
  async _meet(timeout, signal) {
    const address = clientAddress(this.#inPath, this.#outPath);
    try {
      return await openChannel(address, optionsFor({ timeout }), signal);
    } catch (error) {
      if (NOBODY.has(error.status)) return null;
      throw error;
    }
  }

  /** @private */
  async _cleanUp() {}

  #open(syscall) {
    if (this.#channel === null) throw statusError(status.ENOTCONN, syscall);
    return this.#channel;
  }
}

/**
 * The side that makes the place to meet. Exactly one peer is served.
 *
 * It is made by makeIpcChannel().
 */
class IpcChannel extends IpcChannelClient {
  #server;
  /** The first that came, and nobody else. */
  #peer = null;
  #waiter = null;

  /** Not for callers: makeIpcChannel() gives them out. */
  constructor(key, address) {
    if (key !== token) {
      throw codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'it comes from makeIpcChannel()');
    }
    let onchannel;
    const server = openServer(address, optionsFor({}), (channel) => onchannel(channel));
    const [inPath, outPath] = serverPaths(server.address);
    super(key, inPath, outPath);
    onchannel = (channel) => this.#onChannel(channel);
    this.#server = server.unref();
  }

  #onChannel(channel) {
    if (this.#peer !== null) {
      channel.abort();
      return;
    }
    this.#peer = channel;
    // Whoever else finds the port is refused. The FIFOs are this peer's, who may be about to open the second.
    if (!this.inPath.startsWith('/')) this.#server.close();
    this.#waiter?.();
  }

  /** @private */
  async _meet(timeout, signal) {
    if (this.#peer === null) {
      this.#server.ref();
      try {
        await this.#arrival(timeout, signal);
      } finally {
        this.#waiter = null;
        this.#server.unref();
      }
    }
    return this.#peer;
  }

  #arrival(timeout, signal) {
    return new Promise((resolve, reject) => {
      const timer = timeout === Infinity ? undefined : setTimeout(() => done(resolve), timeout);
      const onabort = () => done(() => reject(abortError(signal)));
      const done = (settle) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onabort);
        settle();
      };
      this.#waiter = () => done(resolve);
      signal.addEventListener('abort', onabort, { once: true });
    });
  }

  /** @private */
  async _cleanUp() {
    // One that came, and that nobody connected to.
    this.#peer?.abort();
    await this.#server.close();
  }
}

/** The two points of a server, whose address has them as a client wants them. */
function serverPaths(address) {
  if (address.startsWith('tcp:')) {
    const port = address.slice(address.lastIndexOf(':') + 1);
    return [port, port];
  }
  return address.slice('fifo:'.length).split(',').reverse();
}

function clientAddress(inPath, outPath) {
  if (inPath.startsWith('/')) return `fifo:${inPath},${outPath}`;
  return inPath.includes(':') ? `tcp:${inPath}` : `tcp:127.0.0.1:${inPath}`;
}

/**
 * Make a channel that another program can find.
 *
 * @param {{ transport?: 'fifo' | 'tcp' }} [options] FIFOs in a private directory unless given; 'tcp' is a port of the
 *   loopback
 * @returns {IpcChannel}
 */
function makeIpcChannel(options) {
  const { transport = 'fifo' } = checkOptions(options);
  if (transport !== 'fifo' && transport !== 'tcp') {
    throw codedError(TypeError, 'ERR_INVALID_ARG_VALUE', `options.transport must be 'fifo' or 'tcp', not ${String(transport)}`);
  }
  return new IpcChannel(token, transport === 'tcp' ? 'tcp:127.0.0.1:0' : 'fifo:');
}

/**
 * Make the other side of a channel.
 *
 * @param {string} inPath where to receive: the channel's outPath; a path, a port or HOST:PORT
 * @param {string} outPath where to send: the channel's inPath; for TCP it is not looked at
 * @returns {IpcChannelClient}
 */
function makeIpcChannelClient(inPath, outPath) {
  if (typeof inPath !== 'string') throw typeError('inPath', 'a string', inPath);
  if (typeof outPath !== 'string') throw typeError('outPath', 'a string', outPath);
  const address = clientAddress(inPath, outPath);
  check(native.checkAddress(address), 'address', address);
  return new IpcChannelClient(token, inPath, outPath);
}

module.exports = { IpcChannel, IpcChannelClient, makeIpcChannel, makeIpcChannelClient };
