'use strict';

/** The socket file has its mode from the first instant, whoever looks at it and whenever. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { event, ferrule, isolated } = require('./helpers.js');

const { Pipe } = ferrule;
const BINDS = 300;
const LOOKS = 100;

/** Do something again and again, until a worker has seen the file often enough, and in some mode; gives what it saw. */
async function watched(file, mask, action, wanted = 0) {
  const shared = new SharedArrayBuffer(16);
  const cells = new Int32Array(shared);
  cells[3] = 0o7777;
  const worker = new Worker(path.join(__dirname, 'fixtures', 'watch_mode.js'), { workerData: { path: file, shared } });
  const over = event(worker, 'exit');
  await event(worker, 'message');
  const before = process.umask(mask);
  try {
    const enough = () => Atomics.load(cells, 1) >= LOOKS && (Atomics.load(cells, 2) & wanted) === wanted;
    for (let round = 0; round < BINDS || !enough(); round += 1) {
      assert.ok(round < 100_000, 'the worker saw nothing');
      await action();
    }
  } finally {
    process.umask(before);
    Atomics.store(cells, 0, 1);
    await over;
  }
  return { any: cells[2], always: cells[3] };
}

async function close(pipe) {
  const over = event(pipe, 'close');
  pipe.destroy();
  await over;
}

const cases = [
  // mode, mask of the process, bits that may be seen, bits that are always there
  [undefined, 0, 0o600, 0o600],
  [undefined, 0o022, 0o600, 0o600],
  [0o600, 0, 0o600, 0o600],
  [0o640, 0, 0o640, 0o640],
  [0o666, 0, 0o666, 0o666],
  // What the mask takes away comes a moment later: never more than was asked for.
  [0o660, 0o077, 0o660, 0o600],
];
for (const [mode, mask, most, least] of cases) {
  const name = mode === undefined ? 'the default mode' : `mode 0${mode.toString(8)}`;
  test(`${name} from the first instant, with mask 0${mask.toString(8)}`, isolated(async ({ path: file }) => {
    const seen = await watched(file, mask, async () => {
      const pipe = new Pipe().bind(file, { mode });
      assert.equal(fs.lstatSync(file).mode & 0o7777, mode ?? 0o600);
      await close(pipe);
      assert.equal(fs.existsSync(file), false);
    });
    assert.equal(seen.any & ~most, 0, seen.any.toString(8));
    assert.equal(seen.always & least, least, seen.always.toString(8));
  }));
}

test('the worker sees a mode that comes late', isolated(async ({ path: file }) => {
  // What the tests above would see if the mode were set behind the back of bind.
  const seen = await watched(file, 0, async () => {
    const server = net.createServer().listen(file);
    await event(server, 'listening');
    fs.chmodSync(file, 0o600);
    const over = event(server, 'close');
    server.close();
    await over;
  }, 0o777);
  assert.equal(seen.any, 0o777);
}));

test('the mask of the process is left alone', isolated(async ({ path: file }) => {
  const before = process.umask(0o027);
  try {
    for (const mode of [undefined, 0o666, 0o600]) {
      const pipe = new Pipe().bind(file, { mode });
      assert.equal(process.umask(), 0o027);
      await close(pipe);
    }
  } finally {
    process.umask(before);
  }
}));
