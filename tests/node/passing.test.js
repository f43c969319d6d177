'use strict';

/** Handles passed over pipes: every kind, Node's own objects, a third process, the end of the stream. */

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

test('through a third process', isolated(async ({ path: file }) => {
  // What another process receives it passes on, and then it still works.
  const listener = new Pipe().bind(file).listen();
  const waits = event(listener, 'connection');
  const relayed = run('relay.js', [file]);
  await waits;
  const pipe = listener.accept(new Pipe({ ipc: true }));
  const back = async (handle) => {
    const came = once(pipe.resume(), 'handle');
    pipe.writeHandle('h', handle);
    const [kind] = await came;
    return { kind, taken: pipe.accept() };
  };
  const [near, far] = Pipe.pair();
  const connection = await back(near);
  assert.equal(connection.kind, 'pipe');
  await close(near);
  const text = read(far);
  connection.taken.end('all the way');
  assert.equal(await text, 'all the way');
  const tcp = new TCP().bind(HOST, 0);
  const { port } = tcp.getsockname();
  const bound = await back(tcp);
  assert.equal(bound.kind, 'tcp');
  await close(tcp);
  await serves(bound.taken, () => new TCP().connect(port));
  const own = new Pipe().bind(`${file}2`);
  const named = await back(own);
  await serves(named.taken, () => new Pipe().connect(`${file}2`));
  const udp = new UDP().bind(HOST, 0);
  const socket = await back(udp);
  assert.deepEqual([socket.kind, socket.taken.getsockname()], ['udp', udp.getsockname()]);
  await close(pipe, far, connection.taken, bound.taken, named.taken, own, socket.taken, udp, listener);
  assert.deepEqual(await relayed, { code: 0, signal: null, stdout: '', stderr: '' });
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
