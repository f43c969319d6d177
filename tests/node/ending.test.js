'use strict';

/** A process, and a worker, that ends inside any callback, with everything open: clean, and with the code that it should have. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { isolated, run } = require('./helpers.js');

const flags = ['--expose-gc', '--force-node-api-uncaught-exceptions-policy'];
const fixture = path.join(__dirname, 'fixtures', 'ending.js');
const places = spawnSync(process.execPath, [fixture, 'list'], { encoding: 'utf8' }).stdout.trim().split('\n');

/** Sockets whose process ended too suddenly to remove them. */
function tidy(folder) {
  for (const name of fs.readdirSync(folder)) fs.unlinkSync(path.join(folder, name));
}

test('there are places to end in', () => {
  assert.ok(places.length > 15);
});

for (const where of places) {
  test(`exit and uncaught exception in: ${where}`, isolated(async ({ folder }) => {
    const exit = await run('ending.js', [where, 'exit', folder], { execArgv: flags });
    assert.deepEqual(exit, { code: 7, signal: null, stdout: '', stderr: '' });
    const thrown = await run('ending.js', [where, 'throw', folder], { execArgv: flags });
    assert.deepEqual([thrown.code, thrown.signal, thrown.stdout], [1, null, '']);
    assert.match(thrown.stderr, new RegExp(`Error: thrown in ${where.replace(/[()]/g, '\\$&')}\n`));
    tidy(folder);
  }));
}

test('workers that exit, throw and are terminated in each of them', { timeout: 300_000 }, isolated(async ({ folder }) => {
  const { code, signal, stdout, stderr } = await run('ending.js', ['all', folder], { execArgv: flags });
  assert.deepEqual([code, signal, stdout, stderr], [0, null, 'done\n', '']);
  tidy(folder);
}));
