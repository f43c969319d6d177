'use strict';

/**
 * Random calls in random order, on channels, servers, streams and datagrams, in between the collector, against a
 * simple model of what must be true.
 *
 * What fails is told with its seed: FERRULE_FUZZ_SEED=1234 ./dev test node, or node --test tests/node/fuzz.test.js, does the
 * same calls again, as far as the kernel's time allows.
 */

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { run } = require('./helpers.js');
const { ways } = require('./fuzz/broken.js');

const long = Boolean(process.env.FERRULE_TEST_LONG);
const replayed = process.env.FERRULE_FUZZ_SEED;
const seed = replayed === undefined ? Math.floor(Math.random() * 1e9) : Number(replayed);
const STEPS = 100;

function fuzz(script, ...args) {
  // In workers Node warns of descriptors that it did not open.
  return run(path.join('..', 'fuzz', script), args.map(String), { execArgv: ['--expose-gc', '--no-warnings'] });
}

test(`random calls, from seed ${seed} on`, { timeout: 7_200_000 }, async () => {
  const runs = replayed === undefined ? (long ? 3000 : 15) : 1;
  assert.deepEqual(await fuzz('main.js', seed, runs, STEPS), { code: 0, signal: null, stdout: 'ok\n', stderr: '' });
});

test(`workers that are terminated during random calls, from seed ${seed} on`, { timeout: 7_200_000 }, async () => {
  const rounds = replayed === undefined ? (long ? 500 : 5) : 1;
  assert.deepEqual(await fuzz('workers.js', seed, rounds), { code: 0, signal: null, stdout: 'ok\n', stderr: '' });
});

// Each is a process of its own that looks until it finds it.
for (const way of long ? ways : ['a message is lost', 'a byte of a stream is lost']) {
  test(`random calls notice that ${way}`, { timeout: 600_000 }, async () => {
    const { code, stdout } = await fuzz('main.js', 1, 500, STEPS, way);
    assert.equal(code, 1, stdout);
    assert.match(stdout, /^seed \d+, 100 steps: Error: /);
  });
}
