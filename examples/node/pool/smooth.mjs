// Makes recordings, and has them smoothed by a pool of workers in Python:
// smooth.mjs [--workers N] [--recordings N] [--samples N] [--python PROGRAM]
// @ts-check
import os from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runTasks } from './pool.mjs';
import { Progress } from './progress.mjs';

const USAGE = 'usage: smooth.mjs [--workers N] [--recordings N] [--samples N] [--python PROGRAM]';
const WORKER = fileURLToPath(new URL('smooth_worker.py', import.meta.url));
/** The largest recording is as large as a message may be. */
const LARGEST = (64 << 20) / Float64Array.BYTES_PER_ELEMENT;

function readArguments() {
  const number = (/** @type {string} */ text, /** @type {string} */ name, most = 10_000) => {
    if (!/^[0-9]{1,9}$/.test(text) || Number(text) < 1 || Number(text) > most) throw new Error(`--${name}: a number from 1 to ${most}`);
    return Number(text);
  };
  try {
    const { values } = parseArgs({
      options: {
        workers: { type: 'string', default: '2' },
        recordings: { type: 'string', default: '32' },
        samples: { type: 'string', default: '524288' },
        python: { type: 'string', default: 'python3' },
      },
    });
    return {
      workers: number(values.workers ?? '', 'workers', 100),
      recordings: number(values.recordings ?? '', 'recordings'),
      samples: number(values.samples ?? '', 'samples', LARGEST),
      python: values.python ?? '',
    };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    return process.exit(2);
  }
}

/** A recording that can be made again at any time, as a task may be done again. @param {number} task @param {number} samples */
function record(task, samples) {
  const recording = new Float64Array(samples);
  for (let i = 0; i < samples; i += 1) recording[i] = ((i * 7919 + task * 104729) % 1000) / 1000;
  return recording;
}

/** The numbers in a message. They can be looked at in place when they begin at a multiple of their size. @param {Buffer} message */
function numbers({ buffer, byteOffset, byteLength }) {
  const size = Float64Array.BYTES_PER_ELEMENT;
  if (byteOffset % size === 0) return new Float64Array(buffer, byteOffset, byteLength / size);
  return new Float64Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

const given = readArguments();
const stop = new AbortController();
for (const name of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) process.on(name, () => stop.abort(name));

const progress = new Progress(given.recordings);
const sums = new Float64Array(given.recordings);
try {
  await runTasks(
    given.recordings,
    (task) => record(task, given.samples),
    (task, answer) => {
      sums[task] = numbers(answer).reduce((sum, sample) => sum + sample, 0);
      progress.advance();
    },
    {
      command: given.python,
      args: [WORKER],
      size: given.workers,
      signal: stop.signal,
      onstart: (pid) => progress.say(`worker ${pid} started`),
      onlost: (pid, how) => progress.say(`worker ${pid} ${how}: its recording is done again`),
    },
  );
  progress.end();
  const mean = sums.reduce((sum, one) => sum + one, 0) / given.recordings / given.samples;
  console.log(`the mean of ${given.recordings} smoothed recordings is ${mean}`);
} catch (error) {
  progress.end();
  if (stop.signal.aborted) {
    console.error('interrupted');
    // As a shell has it.
    process.exitCode = 128 + os.constants.signals[/** @type {NodeJS.Signals} */ (stop.signal.reason)];
  } else {
    console.error(`smooth.mjs: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
