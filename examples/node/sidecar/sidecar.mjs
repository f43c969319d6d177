// A child process that does jobs, several at a time. One that dies is started again, and what it was doing is begun anew.
// @ts-check
import { spawn } from '../../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

/** So many children may die of one job. */
const ATTEMPTS = 3;
/** Milliseconds that a child has to start, on a busy machine. */
const START = 30_000;

const ENDING = 'the program is ending';

/** What a job is told that its child died of. */
class Death extends Error {}

/**
 * @typedef {{ resolve: (count: number) => void, reject: (error: Error) => void, onprogress: (done: number) => void }} Job
 * @typedef {{ signal: AbortSignal, onprogress: (done: number) => void, onrestart: () => void }} Wishes
 */

export class Sidecar {
  #command;
  #args;
  #onstart;
  /** @type {Promise<import('ferrule').Child> | null} */
  #child = null;
  /** @type {Map<number, Job>} */
  #jobs = new Map();
  #last = 0;
  #isClosed = false;

  /** @param {string} command @param {string[]} args @param {(pid: number) => void} onstart */
  constructor(command, args, onstart) {
    this.#command = command;
    this.#args = args;
    this.#onstart = onstart;
  }

  /** How many jobs there are. */
  get busy() {
    return this.#jobs.size;
  }

  /** Start the child, unless it is there. A job does that, too. */
  start() {
    if (this.#isClosed) throw new Error(ENDING);
    this.#child ??= this.#launch();
    return this.#child;
  }

  /** Count the primes below a number. @param {number} below @param {Wishes} wishes */
  async count(below, { signal, onprogress, onrestart }) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#ask(below, signal, onprogress);
      } catch (error) {
        if (!(error instanceof Death) || attempt === ATTEMPTS) throw error;
        onrestart();
      }
    }
  }

  /** Say goodbye to the child, and wait until it has ended. Jobs fail. */
  async close() {
    this.#isClosed = true;
    const child = await this.#child?.catch(() => null);
    this.#drop(new Error(ENDING));
    await child?.close();
  }

  /** @param {number} below @param {AbortSignal} signal @param {(done: number) => void} onprogress @returns {Promise<number>} */
  async #ask(below, signal, onprogress) {
    const child = await this.start();
    signal.throwIfAborted();
    const id = this.#last += 1;
    let onabort = () => {};
    try {
      return await new Promise((resolve, reject) => {
        onabort = () => {
          reject(signal.reason);
          // A child that has died need not be told.
          post(child, { cancel: id }).catch(() => {});
        };
        signal.addEventListener('abort', onabort);
        this.#jobs.set(id, { resolve, reject, onprogress });
        // Of a child that cannot be told, the end is near, and that ends the job.
        post(child, { id, below }).catch(() => child.kill('SIGKILL'));
      });
    } finally {
      signal.removeEventListener('abort', onabort);
      this.#jobs.delete(id);
    }
  }

  async #launch() {
    try {
      const child = await spawn(this.#command, this.#args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: START });
      child.channel.on('message', (message) => this.#hear(message));
      child.channel.on('error', (error) => console.error(`child ${child.pid}: ${error.message}`));
      child.channel.on('close', () => {
        this.#child = null;
        child.kill('SIGKILL');
        this.#drop(new Death('the child has died'));
      });
      this.#onstart(child.pid);
      return child;
    } catch (error) {
      // The next job tries again.
      this.#child = null;
      throw error;
    }
  }

  /** @param {Buffer} message */
  #hear(message) {
    const { id, done, count, failed } = JSON.parse(String(message));
    const job = this.#jobs.get(id);
    // One that was cancelled may have an answer on its way.
    if (job === undefined) return;
    if (count !== undefined) job.resolve(count);
    else if (failed !== undefined) job.reject(new Error(failed));
    else job.onprogress(done);
  }

  /** @param {Error} error */
  #drop(error) {
    for (const { reject } of this.#jobs.values()) reject(error);
  }
}

/** @param {import('ferrule').Child} child @param {object} order */
async function post(child, order) {
  await child.channel.send(JSON.stringify(order));
}
