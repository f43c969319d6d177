'use strict';

/** Names of pipes: who gets one, what is in the way, and what may not be connected to. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { addon, event, ferrule, isolated, package_ } = require('./helpers.js');

const { Pipe } = ferrule;

async function close(...pipes) {
  for (const pipe of pipes) {
    if (pipe.closed) continue;
    const over = event(pipe, 'close');
    pipe.destroy();
    await over;
  }
}

/** A socket file that nobody listens at any more. */
async function leaveStale(file) {
  const pipe = new Pipe().bind(file, { keepFile: true });
  await close(pipe);
  return fs.lstatSync(file).ino;
}

/** Somebody who connects there is told of by this listener. */
async function reaches(listener, file) {
  listener.listen();
  const waits = event(listener, 'connection');
  const client = await new Pipe().connect(file);
  await waits;
  await close(client, listener.accept());
}

test('nobody listens there', isolated(async ({ path: file }) => {
  await leaveStale(file);
  const pipe = new Pipe();
  await assert.rejects(pipe.connect(file), { code: 'ECONNREFUSED', status: 'FER_ECONNREFUSED', syscall: 'connect', address: file });
  assert.equal(pipe.destroyed, true);
  fs.unlinkSync(file);
}));

const mount = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"';

/** Why no folder can be made read-only for one process; false when it can. */
function mayNotMount() {
  if (process.geteuid() !== 0) return 'only root can make a folder read-only for one process';
  return spawnSync('unshare', ['-m', 'sh', '-c', mount, 'sh', __dirname]).status !== 0 && 'this process may not mount';
}

test('a read-only place', { skip: mayNotMount() }, isolated(async ({ folder }) => {
  const code = `try { new (require(${JSON.stringify(package_)}).Pipe)().bind(process.argv[1] + '/s'); } catch (error) {
    console.log(error.code, error.status, error.syscall); }`;
  const ran = spawnSync('unshare', ['-m', 'sh', '-c', `${mount} && exec "$2" -e "$3" "$1"`, 'sh', folder, process.execPath, code], {
    encoding: 'utf8', env: { ...process.env, FERRULE_NODE_ADDON: addon },
  });
  assert.equal(ran.stdout, 'EROFS FER_EROFS bind\n', ran.stderr);
}));

test('a stale socket is replaced', isolated(async ({ path: file }) => {
  await leaveStale(file);
  const pipe = new Pipe().bind(file);
  await reaches(pipe, file);
  await close(pipe);
}));

test('a link is not followed to a stale socket', isolated(async ({ folder, path: file }) => {
  const target = path.join(folder, 'target');
  const before = await leaveStale(target);
  fs.symlinkSync('target', file);
  assert.throws(() => new Pipe().bind(file), { code: 'EADDRINUSE', syscall: 'bind' });
  assert.equal(fs.lstatSync(file).isSymbolicLink(), true);
  assert.equal(fs.lstatSync(target).ino, before);
  fs.unlinkSync(file);
  fs.unlinkSync(target);
}));

test('a stale socket of another user stays', { skip: process.geteuid() !== 0 && 'only root can give a file away' }, isolated(async ({ path: file }) => {
  const before = await leaveStale(file);
  fs.lchownSync(file, 65534, 65534);
  assert.throws(() => new Pipe().bind(file), { code: 'EADDRINUSE' });
  assert.equal(fs.lstatSync(file).ino, before);
  fs.unlinkSync(file);
}));

test('only the own file is removed', isolated(async ({ path: file }) => {
  const one = new Pipe().bind(file);
  fs.unlinkSync(file);
  const other = new Pipe().bind(file);
  await close(one);
  await reaches(other, file);
  await close(other);
  assert.equal(fs.existsSync(file), false);
}));

test('a socket that may not be connected to', isolated(async ({ folder, path: file }) => {
  fs.chmodSync(folder, 0o755);
  const listener = new Pipe().bind(file).listen();
  // For its owner too, who made it; for root no mode is an obstacle: it becomes somebody else.
  listener.chmod(0);
  const program = `const { Pipe } = require(${JSON.stringify(package_)});
    if (process.geteuid() === 0) process.seteuid(65534);
    new Pipe().connect(process.argv[1]).catch((error) => console.log(error.code, error.status, error.syscall));`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program, file], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    encoding: 'utf8',
  });
  assert.deepEqual([stdout, stderr, status], ['EACCES FER_EACCES connect\n', '', 0]);
  await close(listener);
}));

test('of many who bind at once one wins', isolated(async ({ folder }) => {
  const ready = new SharedArrayBuffer(4);
  const workers = Array.from({ length: 4 }, () => new Worker(path.join(__dirname, 'fixtures', 'binder.js'), { workerData: { ready } }));
  const answers = () => Promise.all(workers.map((worker) => event(worker, 'message')));
  const tell = (message) => {
    const told = answers();
    for (const worker of workers) worker.postMessage(message);
    return told;
  };
  await answers();
  for (let round = 0; round < 50; round += 1) {
    const name = path.join(folder, String(round));
    if (round % 2 === 1) await leaveStale(name);
    Atomics.store(new Int32Array(ready), 0, 0);
    const outcomes = await tell({ name, number: workers.length });
    assert.deepEqual(outcomes.sort(), ['EADDRINUSE', 'EADDRINUSE', 'EADDRINUSE', 'bound']);
    await tell({});
    assert.equal(fs.existsSync(name), false);
  }
  await Promise.all(workers.map((worker) => worker.terminate()));
}));
