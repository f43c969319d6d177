'use strict';

/** node:cluster, and threads in its workers: who passes handles to other processes, and what is left when one is killed. */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { isolated, run } = require('./helpers.js');

test('a primary and its workers, with a thread in each', isolated(async ({ folder }) => {
  const { code, signal, stdout, stderr } = await run('cluster.js', [folder]);
  assert.equal(stderr, '');
  assert.deepEqual(stdout.trim().split('\n'), [
    ...[0, 1, 2].flatMap((number) => [
      `worker ${number}: hello`, `thread ${number}: hello`, `thread ${number} passed a listener: from the primary`,
    ]),
    'connections came from 0, 1, 2',
    'worker 1 ended: null SIGKILL',
    'worker 0: still there?', 'worker 2: still there?',
    'worker 1 serves again',
    'exit 0 null', 'exit 0 null', 'exit 0 null',
  ]);
  assert.deepEqual([code, signal], [0, null]);
}));
