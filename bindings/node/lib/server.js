'use strict';

const EventEmitter = require('node:events');
const native = require('./native.js');
const { abortError, check, codedError, statusError } = require('./errors.js');
const { channelOptions, checkAddress, checkBoolean, checkFunction, checkInteger, checkOptions, checkSignal, typeError } = require('./options.js');
const { credentials } = require('./access.js');
const { Arrivals } = require('./arrivals.js');
const { tell } = require('./diagnostics.js');
const { adoptChannel, openChannel, pairChannels } = require('./channel.js');
const { endings } = require('./opening.js');

const MOST = 0x7fffffff;

/** Only listen() makes servers. */
const token = Symbol('ferrule.server');

/** Addon object -> Server. */
const servers = new WeakMap();

/** The addon's objects of servers that are open. */
const open = new Set();

/** What the servers made goes with them, also when the process ends before they are closed. */
function closeAll() {
  for (const handle of open) handle.close();
}

/** Of this class, for listen(). */
let openServer;

/** A client is not waited for: whoever decides about it does so at once. */
function checkAnswer(answer) {
  if (typeof answer === 'boolean') return answer;
  const kind = typeof answer?.then === 'function' ? 'a promise' : typeof answer;
  throw codedError(TypeError, 'ERR_INVALID_RETURN_VALUE', `options.allow must return a boolean, not ${kind}`);
}

/**
 * Who may come to a server, and how many.
 *
 * @typedef {object} Admission
 * @property {number} maxChannels 0: no limit
 * @property {number} maxHalfOpen 0: the library's default
 * @property {'any' | ((who: object) => boolean) | undefined} allow
 */

/** @returns {Admission} */
function checkAdmission({ maxChannels, maxConnections, maxHalfOpen, allow }) {
  if (allow !== undefined && allow !== 'any' && typeof allow !== 'function') {
    throw typeError('options.allow', "a function or 'any'", allow);
  }
  // What a net.Server calls it: a limit that is set should never be none because of its name.
  const most = checkInteger(maxConnections, 'options.maxConnections', 0, MOST, 0);
  return {
    maxChannels: checkInteger(maxChannels, 'options.maxChannels', 0, MOST, most),
    maxHalfOpen: checkInteger(maxHalfOpen, 'options.maxHalfOpen', 0, MOST, 0),
    allow,
  };
}

/**
 * A server: gives out a channel for every client.
 *
 * A client that could not be accepted, that was not allowed, or that failed its handshake, is a 'clientError' event;
 * the server goes on. 'close' comes at the end.
 */
class Server extends EventEmitter {
  #handle;
  #onchannel;
  #address;
  /** Of the channels; without the secret, which the library has. */
  #options;
  #allow;
  /** What was given out and is not closed. */
  #channels = new Set();
  /** Of a server without a handler: channels that nobody has taken. */
  #arrivals;
  #closing = false;
  #closed = false;
  /** Who waits for the close. */
  #closers = [];

  /** Not for callers: listen() gives servers out. */
  constructor(key, options, onchannel) {
    if (key !== token) {
      throw codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'servers come from listen()');
    }
    super({ captureRejections: options.captureRejections });
    this.#options = { numbers: options.numbers, captureRejections: options.captureRejections };
    this.#onchannel = onchannel;
    if (onchannel === undefined) this.#arrivals = new Arrivals();
    this.#handle = new native.Server();
    servers.set(this.#handle, this);
  }

  static {
    openServer = (address, options, onchannel, admission = {}) => {
      const server = new Server(token, options, onchannel);
      check(server.#handle.listen(address, options.numbers, options.secret), 'listen', address);
      server.#restrict(admission);
      if (open.size === 0) process.on('exit', closeAll);
      open.add(server.#handle);
      server.#address = String(server.#handle.address());
      tell('listening', { server, address: server.#address });
      return server;
    };
    native.register('serverChannel', function onServer(number, detail) {
      servers.get(this)?.#onChannel(number, detail);
    });
    native.register('serverAllow', function onServer(...who) {
      if (servers.get(this)?.#isAllowed(who)) this.admit();
    });
    native.register('serverClosed', function onServer() {
      servers.get(this)?.#onClosed();
    });
  }

  /** Where clients find the server; with the port that was picked, for example. */
  get address() {
    return this.#address;
  }

  /** Whether close() was called. */
  get closed() {
    return this.#closing;
  }

  /** How many channels that the server gave out are open. */
  get count() {
    return this.#handle.count();
  }

  /**
   * Stop listening. Channels that were given out live on, unless drain is true: then they are closed, as by drain().
   *
   * @param {{ drain?: boolean }} [options]
   * @returns {Promise<void>}
   */
  close(options) {
    if (checkBoolean(checkOptions(options).drain, 'options.drain', false)) return this.drain();
    return new Promise((resolve) => {
      this.#stop('close');
      if (this.#closed) resolve();
      else this.#closers.push(resolve);
    });
  }

  /**
   * Stop listening, and close every channel that the server gave out, each as its close() does.
   *
   * @returns {Promise<void>} all of them are closed, however their clients took it
   */
  async drain() {
    const channels = [...this.#channels];
    const closing = this.close();
    await Promise.allSettled(channels.map((channel) => channel.close()));
    await closing;
  }

  /** Stop listening, and abort every channel that the server gave out, as its abort() does. close() waits for the end. */
  abort() {
    this.#stop('abort');
    for (const channel of [...this.#channels]) channel.abort();
    check(this.#handle.abort(), 'abort');
  }

  /**
   * The channels as they come, from a server that was made without a handler, until it is closed. Leaving the loop
   * leaves the server open.
   *
   * @returns {AsyncIterableIterator<import('./channel.js').Channel>}
   */
  [Symbol.asyncIterator]() {
    if (this.#arrivals === undefined) {
      throw codedError(Error, 'ERR_INVALID_STATE', 'the channels of this server go to the handler that listen() was given');
    }
    return this.#arrivals.iterate();
  }

  /** The same as close(), for `await using`. */
  [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    return this.close();
  }

  /** Keep Node from exiting while the server listens, as it does at first. */
  ref() {
    if (!this.#closing) check(this.#handle.hold(true), 'ref');
    return this;
  }

  /** Let Node exit though the server listens. */
  unref() {
    if (!this.#closing) check(this.#handle.hold(false), 'unref');
    return this;
  }

  #restrict({ maxChannels = 0, maxHalfOpen = 0, allow }) {
    try {
      check(this.#handle.limits(maxChannels, maxHalfOpen), 'listen');
      if (allow !== undefined) check(this.#handle.allow(allow !== 'any'), 'listen');
      this.#allow = allow;
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #stop(call) {
    if (this.#closing) return;
    check(this.#handle.close(), call);
    this.#closing = true;
  }

  #isAllowed(who) {
    return checkAnswer(this.#allow.call(undefined, credentials(...who)));
  }

  #onChannel(number, detail) {
    if (number < 0) {
      const error = statusError(number, 'accept', { detail });
      tell('refused', { server: this, error });
      this.emit('clientError', error);
      return;
    }
    const gone = (closed) => {
      this.#channels.delete(closed);
      this.#arrivals?.remove(closed);
    };
    const channel = adoptChannel((handle) => this.#handle.take(handle), this.#options, gone);
    this.#channels.add(channel);
    if (this.#onchannel === undefined) this.#arrivals.add(channel);
    else this.#handOver(channel);
  }

  #handOver(channel) {
    let result;
    try {
      result = this.#onchannel(channel);
    } catch (error) {
      channel.abort();
      throw error;
    }
    if (typeof result?.then === 'function') result.then(undefined, (error) => this.#onRejected(channel, error));
  }

  /** An async handler failed. That its own channel ended is no news; anything else nobody has caught. */
  #onRejected(channel, error) {
    channel.abort();
    if (!endings.has(error)) throw error;
  }

  #onClosed() {
    this.#closed = true;
    open.delete(this.#handle);
    if (open.size === 0) process.off('exit', closeAll);
    this.#arrivals?.end();
    tell('stopped', { server: this });
    for (const resolve of this.#closers.splice(0)) resolve();
    this.emit('close');
  }
}

/**
 * Connect to a server. Tries again until somebody listens or the time is up.
 *
 * @param {string} address
 * @param {object} [options] see index.d.ts
 * @returns {Promise<import('./channel.js').Channel>}
 */
async function connect(address, options) {
  const given = checkOptions(options);
  const signal = checkSignal(given.signal);
  const known = channelOptions(given);
  checkAddress(address);
  if (signal?.aborted) throw abortError(signal);
  return openChannel(address, known, signal);
}

/**
 * Listen at an address.
 *
 * @param {string} address
 * @param {object | ((channel: import('./channel.js').Channel) => unknown)} [options] see index.d.ts
 * @param {(channel: import('./channel.js').Channel) => unknown} [onchannel] called for each client. When it throws, or
 *   the promise that it returns is rejected, its channel is aborted. Without it, iterate over the server
 * @returns {Promise<Server>}
 */
async function listen(address, options, onchannel) {
  const handler = typeof options === 'function' ? options : onchannel;
  const given = checkOptions(typeof options === 'function' ? undefined : options);
  const signal = checkSignal(given.signal);
  const known = channelOptions(given);
  const admission = checkAdmission(given);
  checkAddress(address);
  if (handler !== undefined) checkFunction(handler, 'onchannel');
  if (signal?.aborted) throw abortError(signal);
  const server = openServer(address, known, handler, admission);
  if (signal !== undefined) {
    const onabort = () => server.close();
    signal.addEventListener('abort', onabort, { once: true });
    server.once('close', () => signal.removeEventListener('abort', onabort));
  }
  return server;
}

/**
 * Make two channels that are connected with each other.
 *
 * @param {object} [options] of both; see index.d.ts
 * @returns {Promise<[import('./channel.js').Channel, import('./channel.js').Channel]>}
 */
async function pair(options) {
  return pairChannels(channelOptions(checkOptions(options)));
}

module.exports = { Server, connect, listen, openServer, pair };
