'use strict';

/**
 * Random calls in workers that are terminated in the middle of them: workers.js SEED ROUNDS
 *
 * Prints `ok`, or what a worker left open or behind, with the seed of its round.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { makeDatagrams } = require('./datagrams.js');
const { Random } = require('./random.js');
const { makePair, makeServer } = require('./servers.js');
const { makeStreams } = require('./streams.js');
const { World, descriptors, leftOpen } = require('./world.js');

/** A worker: run after run, and a message for every few calls, or with what was wrong. */
async function work({ seed, folder }) {
  const makers = { pair: [4, makePair], server: [4, makeServer], streams: [4, makeStreams], datagrams: [2, makeDatagrams] };
  for (let run = 0; ; run += 1) {
    const world = new World(seed + run, folder, makers);
    world.names = run * 1000;
    world.careful = true;
    const { note } = world;
    world.note = (what) => {
      note.call(world, what);
      if (world.trace.length % 10 === 0) parentPort.postMessage('calls');
    };
    process.removeAllListeners('uncaughtException').on('uncaughtException', (error) => world.fail(error));
    await world.run(60);
    if (world.failure !== null) {
      parentPort.postMessage(`${world.failure.stack}\n${world.trace.join('\n')}`);
      return;
    }
  }
}

/** Start one, and terminate it after some of its messages. */
async function lifetime(random, folder) {
  const worker = new Worker(__filename, { workerData: { seed: random.integer(0, 1e9), folder } });
  let left = random.integer(0, 15);
  await new Promise((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error('a worker has ended by itself')));
    worker.on('message', (what) => {
      left -= 1;
      if (what !== 'calls') reject(new Error(what));
      else if (left <= 0) resolve();
    });
  });
  await worker.terminate();
}

async function round(seed) {
  const random = new Random(seed);
  const folders = Array.from({ length: random.integer(1, 3) }, () => fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-fuzz-')));
  try {
    await Promise.all(folders.map((folder) => lifetime(random, folder)));
    return folders.flatMap((folder) => fs.readdirSync(folder));
  } finally {
    for (const folder of folders) fs.rmSync(folder, { recursive: true });
  }
}

async function main() {
  const [seed, rounds] = process.argv.slice(2).map(Number);
  // Node opens some things once.
  await round(1);
  const before = descriptors();
  for (let i = 0; i < rounds; i += 1) {
    const left = await round(seed + i).catch((error) => [error.stack]);
    left.push(...await leftOpen(before));
    if (left.length > 0) {
      fs.writeSync(1, `seed ${seed + i}: ${left.join(', ')}\n`);
      process.exit(1);
    }
  }
  process.stdout.write('ok\n');
}

if (isMainThread) main();
else work(workerData);
