'use strict';

/** Handles passed over pipes: every kind, Node's own objects, the end of the stream, and bad input. */

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { event, ferrule, isolated, run, turn } = require('./helpers.js');

const { Pipe, TCP, UDP } = ferrule;
const HOST = '127.0.0.1';

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

/** Pass a handle from one end of a new pair; gives what arrived, after the write was called back. */
async function pass(handle, options = {}) {
  const [a, b] = Pipe.pair({ ipc: true });
  const came = once(b, 'handle');
  b.resume();
  const written = new Promise((resolve) => { a.writeHandle('h', handle, options, resolve); });
  const [kind] = await came;
  assert.equal(b.pendingHandleType, kind);
  assert.equal(b.pendingCount, 1);
  const taken = kind === 'other' ? b.acceptFd() : b.accept();
  assert.equal(b.pendingCount, 0);
  assert.equal(b.pendingHandleType, null);
  assert.equal(await written, null);
  await close(a, b);
  return { kind, taken };
}

async function read(stream) {
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks).toString();
}

/** A listener serves who connects to it with `connect`. */
async function serves(listener, connect) {
  const waits = event(listener, 'connection');
  listener.listen();
  const client = await connect();
  await waits;
  const peer = listener.accept();
  peer.end('served');
  assert.equal(await read(client), 'served');
  await close(client, peer);
}

for (const listening of [false, true]) {
  test(`a TCP listener, ${listening ? 'listening' : 'bound'}`, isolated(async () => {
    const listener = new TCP().bind(HOST, 0);
    const { port } = listener.getsockname();
    if (listening) listener.listen();
    const { kind, taken } = await pass(listener);
    assert.equal(kind, 'tcp');
    assert.ok(taken instanceof TCP);
    await close(listener);
    await serves(taken, () => new TCP().connect(port));
    await close(taken);
  }));
}

test('a TCP connection, which stays usable here', isolated(async () => {
  const listener = new TCP().bind(HOST, 0).listen();
  const waits = event(listener, 'connection');
  const near = await new TCP().connect(listener.getsockname().port);
  await waits;
  const far = listener.accept();
  const { taken } = await pass(near);
  const text = read(far);
  await new Promise((resolve) => { near.write('here ', resolve); });
  near.destroy();
  taken.end('and there');
  assert.equal(await text, 'here and there');
  await close(listener, near, far, taken);
}));

test('a UDP socket', isolated(async () => {
  const socket = new UDP().bind(HOST, 0);
  const { port } = socket.getsockname();
  const { kind, taken } = await pass(socket);
  assert.equal(kind, 'udp');
  await close(socket);
  const came = once(taken.startReceiving(), 'message');
  const sender = new UDP();
  sender.send('ping', port);
  assert.equal(String((await came)[0]), 'ping');
  await close(sender, taken);
}));

test('a pipe connection, into a pipe that passes handles itself', isolated(async () => {
  const [near, far] = Pipe.pair({ ipc: true });
  const [a, b] = Pipe.pair({ ipc: true });
  const came = once(b.resume(), 'handle');
  a.writeHandle('h', near);
  assert.equal((await came)[0], 'pipe');
  const taken = b.accept(new Pipe({ ipc: true }));
  // On over the received pipe.
  const socket = new UDP().bind(HOST, 0);
  const again = once(far.resume(), 'handle');
  taken.writeHandle('x', socket);
  assert.equal((await again)[0], 'udp');
  const last = far.accept();
  assert.equal(last.getsockname().port, socket.getsockname().port);
  await close(near, far, a, b, taken, socket, last);
}));

test('a pipe listener', isolated(async ({ path: file }) => {
  const listener = new Pipe().bind(file);
  const { kind, taken } = await pass(listener);
  assert.equal(kind, 'pipe');
  await serves(taken, () => new Pipe().connect(file));
  await close(taken, listener);
}));

test('a descriptor of another kind is told, and blocks nothing', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const [file, folder] = [fs.openSync('/dev/null'), fs.openSync('/')];
  const socket = new UDP().bind(HOST, 0);
  a.writeHandle('1', file);
  a.writeHandle('2', folder);
  a.writeHandle('3', socket);
  const kinds = [];
  const descriptors = [];
  const received = new Promise((resolve) => {
    b.on('handle', (kind) => {
      kinds.push(kind);
      if (kind !== 'other') resolve(b.accept());
      else {
        assert.throws(() => b.accept(), { code: 'ERR_FERRULE_KIND', status: 'FER_EKIND' });
        descriptors.push(b.acceptFd());
      }
    });
  });
  b.resume();
  const taken = await received;
  assert.deepEqual(kinds, ['other', 'other', 'udp']);
  assert.ok(fs.fstatSync(descriptors[0]).isCharacterDevice());
  assert.ok(fs.fstatSync(descriptors[1]).isDirectory());
  for (const fd of [file, folder, ...descriptors]) fs.closeSync(fd);
  await close(a, b, socket, taken);
}));

test('bytes and handles stay in order among many writes', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  const rounds = 40;
  const big = Buffer.alloc(100_000, 'b');
  let called = 0;
  for (let i = 0; i < rounds; i += 1) {
    a.write(big);
    a.writeHandle(`h${i};`, socket, (error) => {
      assert.equal(error, null);
      called += 1;
    });
  }
  // It waits in the queue: closing is put off until it has gone.
  socket.close();
  a.end();
  let handles = 0;
  let text = '';
  b.on('handle', () => {
    handles += 1;
    b.accept().close();
  });
  b.on('data', (chunk) => { text += String(chunk).replaceAll('b', ''); });
  await once(b, 'end');
  assert.equal(handles, rounds);
  assert.equal(text, Array.from({ length: rounds }, (_, i) => `h${i};`).join(''));
  assert.equal(called, rounds);
  await close(a, b);
  await turn(2);
}));

test('everything comes before the end', isolated(async () => {
  for (let round = 0; round < 30; round += 1) {
    const [a, b] = Pipe.pair({ ipc: true });
    const socket = new UDP().bind(HOST, 0);
    for (let i = 0; i < 5; i += 1) {
      a.write('bytes');
      a.writeHandle('h', socket);
    }
    a.end(() => a.destroy());
    let handles = 0;
    let bytes = 0;
    b.on('handle', () => {
      handles += 1;
      b.accept().close();
    });
    b.on('data', (chunk) => { bytes += chunk.length; });
    await once(b, 'end');
    assert.deepEqual([handles, bytes], [5, 30]);
    await close(a, b, socket);
  }
}));

test('handles that nobody accepts are closed with the pipe', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  const came = once(b, 'data');
  for (let i = 0; i < 3; i += 1) a.writeHandle('h', socket);
  await came;
  while (b.pendingCount < 3) await once(b, 'data');
  // Taken outside of 'handle': the next one is told.
  const next = once(b, 'handle');
  const one = b.accept();
  assert.equal((await next)[0], 'udp');
  await close(a, b, socket, one);
}));

test('more than the cap end the pipe', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  const failed = once(b.resume(), 'error');
  a.on('error', () => {});
  for (let i = 0; i < 70; i += 1) a.writeHandle('h', socket, () => {});
  const [error] = await failed.catch((thrown) => [thrown]);
  assert.equal(error.status, 'FER_EPROTO');
  await close(a, b, socket);
}));

test("Node's own objects are passed, and closed unless they are kept", isolated(async () => {
  for (const keepOpen of [false, true]) {
    const server = net.createServer().listen(0, HOST);
    await event(server, 'listening');
    const { port } = server.address();
    const accepted = once(server, 'connection');
    const socket = net.connect(port, HOST);
    const [far] = await accepted;
    const connection = await pass(socket, { keepOpen });
    assert.equal(connection.kind, 'tcp');
    assert.equal(socket.destroyed, !keepOpen);
    connection.taken.write('passed');
    assert.equal(String((await once(far, 'data'))[0]), 'passed');
    const listener = await pass(server, { keepOpen });
    assert.equal(server.listening, keepOpen);
    assert.equal(listener.taken.getsockname().port, port);
    const udp = dgram.createSocket('udp4').bind(0, HOST);
    await event(udp, 'listening');
    const { port: udpPort } = udp.address();
    const gone = keepOpen ? null : event(udp, 'close');
    const datagrams = await pass(udp, { keepOpen });
    await gone;
    assert.equal(datagrams.taken.getsockname().port, udpPort);
    await close(connection.taken, far, listener.taken, datagrams.taken);
    if (keepOpen) {
      socket.destroy();
      server.close();
      udp.close();
    }
    await turn(2);
  }
}));

test("a received handle becomes one of Node's own objects", isolated(async ({ path: file }) => {
  const listener = new Pipe().bind(file);
  const server = (await pass(listener)).taken.toServer((socket) => socket.end('hello'));
  await event(server, 'listening');
  const client = net.connect(file);
  assert.equal(await read(client), 'hello');
  server.close();
  await close(listener);
  const [near, far] = Pipe.pair();
  const socket = (await pass(near)).taken.toSocket();
  socket.write('over net');
  assert.equal(String((await once(far, 'data'))[0]), 'over net');
  await close(near, far, socket);
  const udp = new UDP().bind(HOST, 0);
  const native = (await pass(udp)).taken.toDgram();
  assert.equal(native.address().port, udp.getsockname().port);
  await close(udp, native);
  await turn(2);
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

test('no room for a descriptor is a typed error', isolated(async () => {
  const { code, stdout, stderr } = await run('nofile.js');
  assert.equal(stderr, '');
  assert.equal(stdout, 'EMFILE FER_EMFILE read\n');
  assert.equal(code, 0);
}));

test('many passes leak nothing', isolated(async () => {
  const [a, b] = Pipe.pair({ ipc: true });
  const socket = new UDP().bind(HOST, 0);
  const total = 100_000;
  let seen = 0;
  const all = new Promise((resolve) => {
    b.on('handle', () => {
      fs.closeSync(b.acceptFd());
      seen += 1;
      if (seen === total) resolve();
    });
  });
  b.resume();
  for (let i = 0; i < total; i += 1) {
    await new Promise((resolve, reject) => { a.writeHandle('h', socket, (error) => (error ? reject(error) : resolve())); });
  }
  await all;
  await close(a, b, socket);
}));
