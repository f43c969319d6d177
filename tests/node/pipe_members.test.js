'use strict';

/** What a Pipe has besides being a stream: options of the socket, its file, who is at the other end. */

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { addon, event, ferrule, isolated, package_ } = require('./helpers.js');

const { Pipe, TCP } = ferrule;

async function close(...pipes) {
  for (const pipe of pipes) {
    if (pipe.closed) continue;
    const over = event(pipe, 'close');
    pipe.destroy();
    await over;
  }
}

test('a pair is connected, with and without ipc', isolated(async () => {
  for (const ipc of [false, true]) {
    const [a, b] = Pipe.pair({ ipc });
    assert.deepEqual([a.ipc, b.ipc], [ipc, ipc]);
    a.write('there');
    assert.equal(String((await once(b, 'data'))[0]), 'there');
    b.write('back');
    assert.equal(String((await once(a, 'data'))[0]), 'back');
    assert.equal(a.getsockname(), '');
    await close(a, b);
  }
  assert.equal(new Pipe().ipc, false);
  for (const wrong of [1, 'yes', null]) {
    assert.throws(() => new Pipe({ ipc: wrong }), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => Pipe.pair({ ipc: wrong }), { code: 'ERR_INVALID_ARG_TYPE' });
  }
}));

test('the sizes of the buffers', isolated(async () => {
  const [a, b] = Pipe.pair();
  for (const name of ['sendBufferSize', 'receiveBufferSize']) {
    a[name] = 40_000;
    assert.ok(a[name] >= 40_000);
    for (const wrong of [0, -1, 1.5, 2 ** 31]) assert.throws(() => { a[name] = wrong; }, { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => { a[name] = 'big'; }, { code: 'ERR_INVALID_ARG_TYPE' });
    const fresh = new Pipe();
    assert.throws(() => fresh[name], { code: 'EBADF' });
    assert.throws(() => { fresh[name] = 1000; }, { code: 'EBADF' });
  }
  await close(a, b);
  assert.throws(() => a.sendBufferSize, { code: 'ERR_FERRULE_CLOSED' });
}));

test('who is at the other end', isolated(async ({ path: file }) => {
  const listener = new Pipe().bind(file).listen();
  assert.throws(() => listener.peerCredentials(), { code: 'ENOTCONN', syscall: 'peerCredentials' });
  const waits = event(listener, 'connection');
  const child = spawn(process.execPath, ['-e', `require('node:net').connect(${JSON.stringify(file)}).resume()`]);
  const exit = once(child, 'exit');
  await waits;
  const pipe = listener.accept();
  assert.deepEqual(pipe.peerCredentials(), { pid: child.pid, uid: process.geteuid(), gid: process.getegid() });
  await close(pipe, listener);
  assert.deepEqual(await exit, [0, null]);
}));

test('the mode of the file, from bind and from chmod', isolated(async ({ path: file }) => {
  const listener = new Pipe();
  assert.throws(() => listener.chmod(0o600), { status: 'FER_EINVAL' });
  listener.bind(file, { mode: 0o640 });
  assert.equal(fs.statSync(file).mode & 0o777, 0o640);
  assert.equal(listener.chmod(0o666), listener);
  assert.equal(fs.statSync(file).mode & 0o777, 0o666);
  for (const wrong of [-1, 0o1000, 1.5]) assert.throws(() => listener.chmod(wrong), { code: 'ERR_OUT_OF_RANGE' });
  fs.unlinkSync(file);
  fs.writeFileSync(file, 'not the pipe');
  assert.throws(() => listener.chmod(0o600), { code: 'ENOENT' });
  await close(listener);
  assert.equal(fs.readFileSync(file, 'utf8'), 'not the pipe');
  fs.unlinkSync(file);
}));

test('pending instances are accepted everywhere', isolated(async () => {
  const pipe = new Pipe();
  assert.equal(pipe.pendingInstances(4), pipe);
  assert.throws(() => pipe.pendingInstances(0), { code: 'ERR_OUT_OF_RANGE' });
}));

test('the blocking mode is left alone until it is set', isolated(async () => {
  const [a, b] = Pipe.pair();
  const blocking = () => (Number.parseInt(fs.readFileSync(`/proc/self/fdinfo/${a.fileno()}`, 'utf8').match(/flags:\s+(\d+)/)[1], 8) & 0o4000) === 0;
  a.setBlocking(true);
  assert.equal(blocking(), true);
  // It does not block all the same.
  a.write(Buffer.alloc(3_000_000));
  a.setBlocking(false);
  assert.equal(blocking(), false);
  assert.throws(() => new Pipe().setBlocking(true), { code: 'EBADF' });
  assert.throws(() => a.setBlocking(1), { code: 'ERR_INVALID_ARG_TYPE' });
  a.on('error', () => {});
  await close(a, b);
}));

test('a descriptor is taken out, and goes on', isolated(async ({ path: file }) => {
  const listener = new Pipe().bind(file);
  const over = event(listener, 'close');
  const fd = listener.detach();
  await over;
  assert.equal(listener.destroyed, true);
  assert.throws(() => listener.detach(), { code: 'ERR_FERRULE_CLOSED' });
  const again = new Pipe().open(fd).listen();
  const waits = event(again, 'connection');
  const client = await new Pipe().connect(file);
  await waits;
  const peer = again.accept();
  assert.throws(() => new Pipe().detach(), { code: 'EBADF' });
  await close(client, peer, again);
  fs.unlinkSync(file);
}));

test('names that cannot be bound or reached', isolated(async ({ folder, path: file }) => {
  const pipe = new Pipe();
  for (const name of [`${file}\0x`, '']) assert.throws(() => pipe.bind(name), { status: 'FER_EINVAL' }, JSON.stringify(name));
  assert.throws(() => pipe.bind(`${folder}/no/such`), { code: 'ENOENT', syscall: 'bind' });
  assert.throws(() => pipe.bind(`${folder}/${'x'.repeat(300)}`), { code: 'ENAMETOOLONG' });
  fs.writeFileSync(file, 'a file');
  assert.throws(() => pipe.bind(file), { code: 'EADDRINUSE' });
  await assert.rejects(new Pipe().connect(file), { code: 'ENOTSOCK' });
  assert.throws(() => pipe.bind(`${file}/x`), { code: 'ENOTDIR' });
  fs.unlinkSync(file);
  await assert.rejects(new Pipe().connect(`${file}\0x`), { status: 'FER_EINVAL' });
  pipe.bind(file);
  assert.throws(() => pipe.bind(`${file}2`), { status: 'FER_EINVAL' });
  assert.throws(() => new Pipe().bind(file), { code: 'EADDRINUSE' });
  pipe.listen();
  assert.throws(() => pipe.listen(), { code: 'EALREADY' });
  await close(pipe);
}));

test('long paths and abstract names', isolated(async ({ folder }) => {
  const deep = path.join(folder, 'd'.repeat(100));
  fs.mkdirSync(deep);
  for (const name of [path.join(deep, 's'.repeat(100)), `\0ferrule-${process.pid}`]) {
    const listener = new Pipe().bind(name).listen();
    const waits = event(listener, 'connection');
    const client = await new Pipe().connect(name);
    await waits;
    assert.equal(listener.getsockname(), name);
    await close(client, listener.accept(), listener);
  }
  fs.rmdirSync(deep);
}));

test('bind in a folder that cannot be written to', isolated(async ({ folder, path: file }) => {
  fs.chmodSync(folder, 0o555);
  // For root no mode is an obstacle: it becomes somebody else.
  const program = `const { Pipe } = require(${JSON.stringify(package_)});
    if (process.geteuid() === 0) process.seteuid(65534);
    try { new Pipe().bind(process.argv[1]); } catch (error) { console.log(error.code, error.status, error.syscall); }`;
  const { stdout, stderr, status } = spawnSync(process.execPath, ['-e', program, file], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    encoding: 'utf8',
  });
  fs.chmodSync(folder, 0o700);
  assert.deepEqual([stdout, stderr, status], ['EACCES FER_EACCES bind\n', '', 0]);
}));

test('memory that is given away or shrinks while it waits', isolated(async () => {
  const [a, b] = Pipe.pair();
  // Handed to the library already: a copy of what the kernel did not take.
  const first = new Uint8Array(3_000_000).fill(1);
  a.write(first);
  structuredClone(first.buffer, { transfer: [first.buffer] });
  const buffer = new ArrayBuffer(1_000_000, { maxByteLength: 1_000_000 });
  a.write(new Uint8Array(buffer).fill(2));
  if (buffer.resizable) buffer.resize(0);
  let seen = 0;
  b.on('data', (chunk) => {
    for (let i = 0; i < chunk.length; i += 1000) assert.equal(chunk[i], seen + i < 3_000_000 ? 1 : 2);
    seen += chunk.length;
  });
  while (seen < 4_000_000) await once(b, 'data');
  b.removeAllListeners('data').pause();
  // In the stream's queue still: there is nothing left to send.
  a.write(Buffer.alloc(3_000_000));
  const gone = new Uint8Array(100_000);
  const failed = once(a, 'error').catch((error) => [error]);
  a.write(gone);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  b.resume();
  const [error] = await failed;
  assert.equal(error.status, 'FER_EINVAL');
  assert.match(error.message, /given away/);
  await close(a, b);
}));

test('hasRef, ref and unref', isolated(async () => {
  const [a, b] = Pipe.pair();
  assert.equal(a.hasRef(), true);
  assert.equal(a.unref().hasRef(), false);
  assert.equal(a.ref().hasRef(), true);
  await close(a, b);
  assert.equal(a.unref(), a);
}));

test('methods called on another kind of handle', isolated(async () => {
  for (const stranger of [{}, new TCP(), new net.Socket()]) {
    for (const method of ['chmod', 'pendingInstances', 'peerCredentials', 'acceptFd']) {
      assert.throws(() => Pipe.prototype[method].call(stranger, 1), TypeError, method);
    }
    for (const member of ['pendingCount', 'pendingHandleType', 'ipc']) {
      assert.throws(() => Reflect.get(Pipe.prototype, member, stranger), TypeError, member);
    }
  }
}));

test('a worker that is terminated closes its handles', isolated(async () => {
  const child = spawn(process.execPath, [path.join(__dirname, 'fixtures', 'handles_worker.js')], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  const [code] = await once(child, 'close');
  assert.equal(text, 'terminated, 0 left open\n');
  assert.equal(code, 0);
}));
