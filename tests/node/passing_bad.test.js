'use strict';

/** Handles passed over pipes: limits, what is refused, and what a listener may do. */

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { event, ferrule, isolated, pair, run, turn } = require('./helpers.js');

const { Pipe, TCP, UDP } = ferrule;
const HOST = '127.0.0.1';
/** So many received handles may wait to be accepted. */
const CAP = 64;

/** Close all of them, whatever they are, and wait. */
async function close(...things) {
  for (const thing of things) {
    if (thing.closed === true) continue;
    const over = event(thing, 'close');
    if (typeof thing.destroy === 'function') thing.destroy();
    else thing.close();
    await over;
  }
}

test('more than the cap end the pipe', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  const open = () => fs.readdirSync('/proc/self/fd').length;
  const over = event(b, 'close');
  let before = open();
  let most = 0;
  b.on('handle', () => { most = Math.max(most, b.pendingCount); });
  const failed = event(b.resume(), 'error');
  a.on('error', () => {});
  for (let i = 0; i < CAP; i += 1) a.writeHandle('h', socket, () => {});
  while (most < CAP) await turn();
  assert.equal(open(), before + CAP);
  // As many as may wait do wait, and one more is too many.
  a.writeHandle('h', socket, () => {});
  const error = await failed;
  assert.equal(error.status, 'FER_EPROTO');
  assert.equal(error.code, 'EPROTO');
  await over;
  before -= 1;
  assert.equal(open(), before);
  await close(a, socket);
}));

test('what cannot be passed', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const plain = Pipe.pair();
  const socket = new UDP().bind(HOST, 0);
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const wrong of [undefined, null, {}, 'udp', Symbol('x'), Buffer.from('x')]) assert.throws(() => a.writeHandle('h', wrong), type);
  for (const wrong of [-1, 1.5, NaN]) assert.throws(() => a.writeHandle('h', wrong), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => a.writeHandle(7, socket), type);
  assert.throws(() => a.writeHandle('h', socket, { keepOpen: 1 }), type);
  assert.throws(() => a.writeHandle('h', socket, {}, 7), type);
  assert.throws(() => plain[0].writeHandle('h', socket), { status: 'FER_EINVAL', message: /without ipc/ });
  for (const empty of ['', Buffer.alloc(0)]) assert.throws(() => a.writeHandle(empty, socket), { status: 'FER_EINVAL', message: /byte/ });
  assert.throws(() => a.writeHandle('h', a), { status: 'FER_EINVAL' });
  assert.throws(() => a.writeHandle('h', new UDP()), { code: 'EBADF' });
  assert.throws(() => a.writeHandle('h', 1 << 20), { code: 'EBADF', status: 'FER_EBADF' });
  assert.throws(() => a.writeHandle('h', new net.Socket()), { code: 'EBADF', message: /no descriptor/ });
  assert.throws(() => a.writeHandle('h', net.createServer()), { code: 'EBADF' });
  const unbound = dgram.createSocket('udp4');
  assert.throws(() => a.writeHandle('h', unbound), { code: 'EBADF' });
  unbound.close();
  await close(socket);
  assert.throws(() => a.writeHandle('h', socket), { code: 'ERR_FERRULE_CLOSED', status: 'FER_ECLOSED' });
  const closed = new TCP();
  await close(closed);
  assert.throws(() => a.writeHandle('h', closed), { code: 'ERR_FERRULE_CLOSED' });
  assert.throws(() => Pipe.prototype.writeHandle.call(closed, 'h', 0), TypeError);
  // Nothing of all this went out, and the pipe is whole.
  a.write('whole');
  assert.equal(String((await once(b, 'data'))[0]), 'whole');
  assert.equal(b.pendingCount, 0);
  await close(a, b, ...plain);
}));

test('what cannot be accepted', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const [plain, other] = Pipe.pair();
  assert.throws(() => b.accept(), { code: 'EAGAIN', syscall: 'accept' });
  assert.throws(() => b.acceptFd(), { code: 'EAGAIN' });
  assert.throws(() => plain.acceptFd(), { code: 'EINVAL' });
  assert.throws(() => plain.accept(), { code: 'EINVAL' });
  const socket = new UDP().bind(HOST, 0);
  const came = once(b, 'handle');
  a.writeHandle('h', socket);
  b.resume();
  await came;
  assert.throws(() => b.accept(new TCP()), { code: 'ERR_FERRULE_KIND' });
  assert.throws(() => b.accept(socket), { code: 'EISCONN' });
  assert.throws(() => b.accept(7), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.equal(b.pendingCount, 1);
  const taken = b.accept();
  await close(a, b, plain, other, socket, taken);
  assert.equal(b.pendingCount, 0);
  assert.equal(b.pendingHandleType, null);
}));

test('passing after the end and after destroy', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  a.on('error', () => {});
  a.end();
  const error = await new Promise((resolve) => { a.writeHandle('h', socket, resolve); });
  assert.equal(error.code, 'ERR_STREAM_WRITE_AFTER_END');
  await close(a);
  const late = await new Promise((resolve) => { a.writeHandle('h', socket, resolve); });
  assert.ok(late instanceof Error);
  await close(b, socket);
}));

test('destroy tells every pass that waits, and lets the handle go', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  a.on('error', () => {});
  const told = [];
  a.write(Buffer.alloc(5_000_000));
  for (let i = 0; i < 3; i += 1) a.writeHandle('h', socket, (error) => told.push(error instanceof Error));
  assert.throws(() => socket.detach(), { code: 'EBUSY' });
  const over = event(socket, 'close');
  socket.close();
  await close(a);
  await over;
  assert.deepEqual(told, [true, true, true]);
  await close(b);
}));

test('an exception in a listener of handles is not caught, and costs nothing', isolated(async () => {
  const { code, stdout, stderr } = await run('throwing_handle.js');
  assert.equal(stderr, '');
  assert.equal(stdout, 'data one, caught in handle, caught in callback, handle udp, data two, caught in message\n');
  assert.equal(code, 0);
}));

for (const room of [0, 2]) {
  test(`room for ${room} descriptors and no more is a typed error`, isolated(async () => {
    const { code, stdout, stderr } = await run('nofile.js', [String(room)]);
    assert.equal(stderr, '');
    assert.equal(stdout, `${room} handles, EMFILE FER_EMFILE read\n-1 more than before\n`);
    assert.equal(code, 0);
  }));
}

test('a channel and a server are not passed', isolated(async ({ address }) => {
  // Their handles are their own: somebody else in the stream would break it.
  const [a, b] = Pipe.pair({ ipc: true });
  const { client, server, done } = await pair(address);
  for (const inner of [client, server]) {
    assert.throws(() => a.writeHandle('h', inner), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  await done();
  await close(a, b);
}));

test('what another thread gets of a handle is no handle', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const handles = [a, new TCP(), new UDP()];
  for (const handle of handles) {
    let copy;
    try {
      // What a worker would get as a message.
      copy = structuredClone(handle);
    } catch (error) {
      assert.equal(error.name, 'DataCloneError');
      continue;
    }
    assert.throws(() => a.writeHandle('h', copy), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => b.accept(copy), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  await close(b, ...handles);
}));

test('memory that is given away, before and behind', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  const gone = new Uint8Array(10);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  for (const call of [() => a.writeHandle(gone, socket), () => a.write(gone), () => a.tryWrite(gone)]) assert.throws(call, TypeError);
  // It is copied: what becomes of it does not matter any more.
  a.write(Buffer.alloc(3_000_000));
  const later = new Uint8Array(100_000).fill(7);
  const written = new Promise((resolve) => { a.writeHandle(later, socket, resolve); });
  structuredClone(later.buffer, { transfer: [later.buffer] });
  let sum = 0;
  b.on('data', (chunk) => { for (const byte of chunk) sum += byte; });
  const [kind] = await once(b, 'handle');
  assert.equal(kind, 'udp');
  assert.equal(await written, null);
  while (sum < 700_000) await once(b, 'data');
  assert.equal(sum, 700_000);
  await close(a, socket, b.accept(), b);
}));
