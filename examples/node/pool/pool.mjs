// Tasks done by worker processes, in any language. A worker that dies is replaced, and its task is done again.
// @ts-check
import { spawn } from '../../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

/** So many workers may die of one task. One that cannot even start ends it all at once. */
const ATTEMPTS = 3;
/** Milliseconds that a worker has to start, on a busy machine. */
const START = 30_000;

/**
 * @typedef {object} Options
 * @property {string} command what a worker is: it sends one answer for each message
 * @property {string[]} args
 * @property {number} size how many workers
 * @property {AbortSignal} signal ends all of it
 * @property {(pid: number) => void} onstart a worker is there
 * @property {(pid: number, how: string) => void} onlost a worker has died
 */

/**
 * Do the tasks from 0 to count - 1: a worker is sent what make() gives for one, and take() gets what it answers. When
 * this is done, or has failed, no worker is left.
 *
 * @param {number} count
 * @param {(task: number) => Uint8Array | Float64Array} make
 * @param {(task: number, answer: Buffer) => void} take
 * @param {Options} options
 */
export async function runTasks(count, make, take, { command, args, size, signal, onstart, onlost }) {
  // All take from the same tasks.
  const tasks = Array(count).keys();
  const stop = new AbortController();
  const onabort = () => stop.abort(signal.reason);
  if (signal.aborted) onabort();
  signal.addEventListener('abort', onabort);

  /** One worker after the other; the next takes on the task that the last one died of. */
  async function employ() {
    let task = tasks.next();
    let deaths = 0;
    while (!task.done) {
      const worker = await start();
      // At once, and also one that is stopped, or that does not read what it is sent.
      const kill = () => worker.kill('SIGKILL');
      stop.signal.addEventListener('abort', kill);
      try {
        while (!task.done) {
          take(task.value, await ask(worker.channel, make(task.value)));
          task = tasks.next();
          deaths = 0;
        }
        await worker.close();
      } catch (error) {
        if (stop.signal.aborted || !isDeath(error)) throw error;
        const how = describe(await worker.close());
        onlost(worker.pid, how);
        deaths += 1;
        if (deaths === ATTEMPTS) throw new Error(`task ${task.value}: ${deaths} workers died of it, the last ${how}`);
      } finally {
        stop.signal.removeEventListener('abort', kill);
        kill();
        await worker.exited;
      }
    }
  }

  async function start() {
    const worker = await spawn(command, args, { signal: stop.signal, timeout: START });
    onstart(worker.pid);
    return worker;
  }

  /**
   * One task at a time: then the two sides never both wait for the other to read.
   *
   * @param {import('ferrule').Channel} channel
   * @param {Uint8Array | Float64Array} question
   */
  async function ask(channel, question) {
    await channel.send(question);
    const answer = await channel.recv({ signal: stop.signal });
    if (answer === null) throw new Error('a worker said goodbye instead of answering');
    return answer;
  }

  // The first failure ends the others.
  const employed = Array.from({ length: Math.min(size, count) }, () => employ().catch((error) => stop.abort(error)));
  await Promise.all(employed);
  signal.removeEventListener('abort', onabort);
  stop.signal.throwIfAborted();
}

/** Whether a worker died while it was waited for, or sent to. @param {unknown} error */
function isDeath(error) {
  return error instanceof Error && 'code' in error && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

/** @param {import('ferrule').ChildExit} exit */
function describe({ code, signal }) {
  return signal === null ? `exited with code ${code}` : `was killed by ${signal}`;
}
