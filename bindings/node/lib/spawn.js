'use strict';

/** Parent and child: a channel between two processes from the beginning. */

const childProcess = require('node:child_process');
const EventEmitter = require('node:events');
const fs = require('node:fs');
const { abortError, codedError, status, statusError } = require('./errors.js');
const { channelOptions, checkOptions, checkSignal, checkTime, typeError } = require('./options.js');
const { openChannel, parentChannel } = require('./channel.js');
const { Pipe } = require('./pipe.js');

/** Only spawn() makes children. */
const token = Symbol('ferrule.child');

/** Names the child's end of the channel, in the child's environment alone. */
const VARIABLE = 'FERRULE_CHANNEL';

/** As the library has them. */
const HANDSHAKE = 5000;
const CLOSE = 5000;

/** What of the options is for Node's spawn(), as it is. */
const PASSED_ON = ['argv0', 'cwd', 'detached', 'gid', 'shell', 'uid'];

/**
 * A process that was started with a channel to it.
 *
 * 'exit' comes when it has ended, with its code and its signal; 'error' when it could not be killed.
 */
class Child extends EventEmitter {
  #process;
  #channel;
  #exited;
  #closeTimeout;

  /** Not for callers: spawn() gives children out. */
  constructor(key, process_, channel, exited, closeTimeout) {
    if (key !== token) throw codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'children come from spawn()');
    super();
    this.#process = process_;
    this.#channel = channel;
    this.#exited = exited;
    this.#closeTimeout = closeTimeout;
    process_.on('error', (error) => this.emit('error', error));
    // Later: the child may have ended before anybody could listen.
    exited.then(({ code, signal }) => setImmediate(() => this.emit('exit', code, signal)));
  }

  /** The channel to it. */
  get channel() {
    return this.#channel;
  }

  /** Node's ChildProcess, with the standard streams that were asked for. */
  get process() {
    return this.#process;
  }

  /** The number of the process. */
  get pid() {
    return this.#process.pid;
  }

  /**
   * The end of the process.
   *
   * @returns {Promise<{ code: number | null, signal: string | null }>} never rejected
   */
  get exited() {
    return this.#exited;
  }

  /**
   * Send it a signal.
   *
   * @param {string | number} [signal] 'SIGTERM' unless given
   * @returns {boolean} whether that worked
   */
  kill(signal) {
    return this.#process.kill(signal);
  }

  /**
   * Close the channel and the child's standard input, and wait for the end of the process. One that is still there after the closeTimeout is killed.
   *
   * @returns {Promise<{ code: number | null, signal: string | null }>} rejected, after the end of the process, as the
   *   channel's close() is, but not because the process died: that is told here
   */
  async close() {
    let failure = null;
    await this.#channel.close().catch((error) => { failure = error; });
    this.#process.stdin?.end();
    await within(this.#closeTimeout, this.#exited);
    await remove(this.#process, this.#exited);
    const end = await this.#exited;
    if (failure !== null && !isDeath(failure, end)) throw failure;
    return end;
  }

  /** The same as close(), for `await using`. */
  async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    await this.close();
  }

  /** Keep Node from exiting while the process or the channel is there, as they do at first. */
  ref() {
    this.#process.ref();
    this.#channel.ref();
    return this;
  }

  /** Let Node exit though they are there. */
  unref() {
    this.#process.unref();
    this.#channel.unref();
    return this;
  }
}

/** Whether a channel failed because its process died: what was being sent to one that died is told as EPIPE. */
function isDeath({ status: name }, { code, signal }) {
  return name === 'FER_ECONNRESET' || (name === 'FER_EPIPE' && (code !== 0 || signal !== null));
}

/** Wait for a promise, but not longer than so many milliseconds. */
async function within(milliseconds, promise) {
  let timer;
  const late = new Promise((resolve) => {
    if (milliseconds !== Infinity) timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([promise, late]);
  clearTimeout(timer);
}

function hasEnded(process_) {
  return process_.exitCode !== null || process_.signalCode !== null;
}

/** Have a process end. Gives how it did; null when it may not be killed. */
async function remove(process_, exited) {
  if (!hasEnded(process_) && !process_.kill('SIGKILL') && !hasEnded(process_)) return null;
  return exited;
}

/** The standard streams, and behind them the child's end of the channel. */
function stdioWith(given, fd) {
  if (given !== undefined && typeof given !== 'string' && !Array.isArray(given)) {
    throw typeError('options.stdio', 'a string or an array', given);
  }
  const stdio = Array.isArray(given) ? [...given] : [given, given, given];
  for (let i = 0; i < 3; i += 1) stdio[i] ??= 'inherit';
  return [...stdio, fd];
}

/** Start the process. Its end of the channel is open in it and not here. */
function start(command, args, given, fd) {
  const { env = process.env } = given;
  if (env === null || typeof env !== 'object') throw typeError('options.env', 'an object', env);
  const stdio = stdioWith(given.stdio, fd);
  const options = { stdio, env: { ...env, [VARIABLE]: `fd:${stdio.length - 1}` } };
  for (const name of PASSED_ON) {
    if (given[name] !== undefined) options[name] = given[name];
  }
  return childProcess.spawn(command, args, options);
}

/** The end of a process: { code, signal }, or { error } when it was never started. */
function endOf(process_) {
  return new Promise((resolve) => {
    process_.once('exit', (code, signal) => resolve({ code, signal }));
    process_.on('error', (error) => {
      if (process_.pid === undefined) resolve({ error });
    });
  });
}

/** What a process left in its channel when it ended has been read after this. */
async function turns() {
  for (let i = 0; i < 2; i += 1) await new Promise((resolve) => { setImmediate(resolve); });
}

/** A child that ended is what went wrong, unless it was this side that ended it. */
function failureOf(command, cause, end, killed) {
  const about = { path: command };
  const syscall = `spawn ${command}`;
  if (end?.error !== undefined) return end.error;
  if (end !== null && !(killed && end.signal === 'SIGKILL')) {
    const how = end.signal === null ? `exited with code ${end.code}` : `was killed by ${end.signal}`;
    const error = statusError(status.ECONNRESET, syscall, { detail: `the child ${how} before it said hello` });
    return Object.assign(error, about, { exitCode: end.code, signalCode: end.signal });
  }
  if (cause.status !== 'FER_ETIMEDOUT') return Object.assign(cause, about);
  const detail = 'the child did not open its channel in time: is it a Ferrule program?';
  return Object.assign(statusError(status.ETIMEDOUT, syscall, { detail }), about);
}

/** There is no channel: clean up. Gives the error. */
async function giveUp(command, process_, exited, cause, limit) {
  // Who closed the channel is about to end, most likely.
  if (cause.status === 'FER_ECONNRESET') await within(limit, exited);
  const killed = process_.pid !== undefined && !hasEnded(process_);
  const end = await remove(process_, exited);
  for (const stream of process_.stdio ?? []) stream?.destroy();
  return failureOf(command, cause, end, killed);
}

/** Our end of a channel, about to open, and the child's. */
function ends(command, options, stop) {
  const [ours, theirs] = Pipe.pair().map((pipe) => pipe.detach());
  try {
    const opening = openChannel(`fd:${ours}`, options, stop.signal, { syscall: `spawn ${command}` });
    // It is waited for later.
    opening.catch(() => {});
    return { opening, theirs };
  } catch (error) {
    fs.closeSync(ours);
    fs.closeSync(theirs);
    throw error;
  }
}

/** spawn(), after its arguments were checked. */
async function spawnChild(command, args, given, { options, limit, closeTimeout, signal }) {
  const stop = new AbortController();
  const { opening, theirs } = ends(command, options, stop);
  let process_;
  try {
    process_ = start(command, args, given, theirs);
  } catch (error) {
    stop.abort();
    throw error;
  } finally {
    fs.closeSync(theirs);
  }
  const exited = endOf(process_);
  let child;
  const onabort = () => {
    if (child !== undefined) {
      child.kill();
    } else {
      stop.abort();
      process_.kill('SIGKILL');
    }
  };
  signal?.addEventListener('abort', onabort, { once: true });
  exited.then(turns).then(() => {
    signal?.removeEventListener('abort', onabort);
    stop.abort();
  });
  try {
    const channel = await opening;
    if (process_.pid === undefined) {
      channel.abort();
      throw (await exited).error;
    }
    child = new Child(token, process_, channel, exited, closeTimeout);
    return child;
  } catch (cause) {
    const error = await giveUp(command, process_, exited, cause, limit);
    throw signal?.aborted ? abortError(signal) : error;
  }
}

/**
 * Start a program, in any language, with a channel to it, which it takes with parent().
 *
 * @param {string} command
 * @param {string[]} [args]
 * @param {object} [options] see index.d.ts
 * @returns {Promise<Child>} when the child has said hello. When it is rejected, the child is gone
 */
async function spawn(command, args, options) {
  const list = Array.isArray(args) ? args : [];
  const given = checkOptions(Array.isArray(args) || args === undefined ? options : args);
  const signal = checkSignal(given.signal);
  checkTime(given.timeout, 'options.timeout');
  const { timeout, handshakeTimeout = HANDSHAKE, closeTimeout = CLOSE } = given;
  const limit = timeout ?? handshakeTimeout;
  const known = channelOptions({ ...given, timeout: undefined, handshakeTimeout: limit });
  if (signal?.aborted) throw abortError(signal);
  return spawnChild(command, list, given, { options: known, limit, closeTimeout, signal });
}

/**
 * Open the channel to the parent, in a process that spawn() started. It can be taken once.
 *
 * @param {object} [options] see index.d.ts
 * @returns {Promise<import('./channel.js').Channel>} rejected with ENOENT in a process that was not started with one
 */
async function parent(options) {
  const given = checkOptions(options);
  const signal = checkSignal(given.signal);
  const known = channelOptions(given);
  if (signal?.aborted) throw abortError(signal);
  try {
    return parentChannel(known, signal);
  } finally {
    // The variable is taken, except that a secret is refused before. A worker has a copy, for its own children.
    if (known.secret === undefined) delete process.env[VARIABLE];
  }
}

module.exports = { Child, parent, spawn };
