'use strict';

/**
 * Random calls in random order: main.js SEED RUNS STEPS [BREAK]
 *
 * The first run has the seed SEED, the next SEED + 1, and so on. Prints `ok`, or what was wrong, the seed of that run and
 * the calls that it made. With BREAK, something of the package is broken first, which must be noticed.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const ferrule = require('../../../bindings/node');
const { makeDatagrams } = require('./datagrams.js');
const { makePair, makeServer } = require('./servers.js');
const { makeStreams } = require('./streams.js');
const { World, descriptors, leftOpen, turn } = require('./world.js');
const { breakPackage } = require('./broken.js');

const makers = { pair: [4, makePair], server: [4, makeServer], streams: [4, makeStreams], datagrams: [2, makeDatagrams] };

/** What is running, which is to blame for what nobody catches. */
let world = null;

async function once(seed, steps, before) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-fuzz-'));
  world = new World(seed, folder, makers);
  try {
    await world.run(steps);
    await turn();
    if (world.failure === null) {
      const open = await leftOpen(before);
      world.check(open.length === 0, `left open: ${open.join(', ')}`);
      world.check(fs.readdirSync(folder).length === 0, `left behind: ${fs.readdirSync(folder).join(', ')}`);
    }
  } catch (error) {
    world.fail(error);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
  return world;
}

async function main() {
  const [seed, runs, steps] = process.argv.slice(2, 5).map(Number);
  process.on('uncaughtException', (error) => world.fail(error));
  // Node opens some things once.
  await once(1, 30, descriptors());
  if (process.argv[5] !== undefined) breakPackage(ferrule, process.argv[5]);
  const before = descriptors();
  for (let run = 0; run < runs; run += 1) {
    const { failure, trace } = await once(seed + run, steps, before);
    if (failure !== null) {
      const cause = failure.cause === undefined ? '' : `\n${failure.cause.stack}`;
      fs.writeSync(1, `seed ${seed + run}, ${steps} steps: ${failure.stack}${cause}\n${trace.join('\n')}\n`);
      process.exit(1);
    }
  }
  process.stdout.write('ok\n');
}

main();
