'use strict';

/** fromHandle() and toHandle(): Node's own objects as handles, and back. */

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const tls = require('node:tls');
const { closed, event, ferrule, isolated, turn } = require('./helpers.js');

const { Pipe, TCP, UDP, fromHandle, toHandle } = ferrule;
const HOST = '127.0.0.1';

/** A connection of Node's own: [client, the server's side]. */
async function connection(server, ...where) {
  const accepted = once(server, 'connection');
  const client = net.connect(...where);
  const [[peer]] = await Promise.all([accepted, event(client, 'connect')]);
  return [client, peer];
}

async function listening(...where) {
  const server = net.createServer().listen(...where);
  await event(server, 'listening');
  return server;
}

async function said(stream, text) {
  assert.equal(String((await once(stream, 'data'))[0]), text);
}

test('a net.Socket there and back', isolated(async ({ path: file }) => {
  for (const [where, Class] of [[[file], Pipe], [[0, HOST], TCP]]) {
    const server = await listening(...where);
    const [client, peer] = await connection(server, server.address().port ?? file, HOST);
    const gone = event(client, 'close');
    const handle = fromHandle(client, { allowHalfOpen: true });
    assert.ok(handle instanceof Class);
    assert.equal(handle.allowHalfOpen, true);
    assert.equal(client.destroyed, true);
    await gone;
    handle.write('to node');
    await said(peer, 'to node');
    peer.write('from node');
    await said(handle, 'from node');
    const left = event(handle, 'close');
    handle.pause();
    const socket = toHandle(handle);
    assert.ok(socket instanceof net.Socket);
    await left;
    socket.write('again');
    await said(peer, 'again');
    const over = [event(socket, 'close'), event(peer, 'close')];
    socket.destroy();
    peer.destroy();
    server.close();
    await Promise.all([...over, event(server, 'close')]);
  }
}));

test('a net.Server there and back', isolated(async () => {
  const server = await listening(0, HOST);
  const { port } = server.address();
  const gone = event(server, 'close');
  const listener = fromHandle(server);
  assert.ok(listener instanceof TCP);
  await gone;
  const native = toHandle(listener);
  assert.ok(native instanceof net.Server);
  const [client, peer] = await connection(native, port, HOST);
  const over = [event(client, 'close'), event(peer, 'close'), event(native, 'close')];
  for (const socket of [client, peer]) socket.destroy();
  native.close();
  await Promise.all(over);
}));

test('a dgram.Socket there and back', isolated(async () => {
  const socket = dgram.createSocket('udp4').bind(0, HOST);
  await event(socket, 'listening');
  const { port } = socket.address();
  const gone = event(socket, 'close');
  const udp = fromHandle(socket);
  assert.ok(udp instanceof UDP);
  await gone;
  assert.equal(udp.getsockname().port, port);
  const native = toHandle(udp);
  assert.ok(native instanceof dgram.Socket);
  assert.equal(native.address().port, port);
  native.close();
  await event(native, 'close');
  await turn(2);
}));

test('what is kept open, and what stays as it is', isolated(async () => {
  const server = await listening(0, HOST);
  const [client, peer] = await connection(server, server.address().port, HOST);
  const kept = fromHandle(client, { keepOpen: true });
  assert.equal(client.destroyed, false);
  // A descriptor, and a handle, are the caller's as before.
  const again = fromHandle(kept);
  const number = fromHandle(again.fileno());
  assert.equal(new Set([kept, again, number].map((handle) => handle.fileno())).size, 3);
  number.write('all the same socket');
  await said(peer, 'all the same socket');
  const sockets = [kept, again, number, client, peer];
  const over = sockets.map((socket) => event(socket, 'close'));
  for (const socket of sockets) socket.destroy();
  server.close();
  await Promise.all([...over, event(server, 'close')]);
}));

test('a handle that came with a message', isolated(async () => {
  const [a, b] = await ferrule.pair({ maxHandles: 2 });
  const [near, far] = Pipe.pair();
  const udp = new UDP().bind(HOST, 0);
  await a.send('two', { handles: [near, udp] });
  const { handles } = await b.recvMessage();
  const [socket, native] = handles.map((handle) => toHandle(handle));
  assert.deepEqual(handles.map((handle) => handle.closed), [true, true]);
  assert.ok(socket instanceof net.Socket && native instanceof dgram.Socket);
  socket.write('hello');
  await said(far, 'hello');
  const over = [socket, native, near, far, udp].map((object) => event(object, 'close'));
  for (const stream of [socket, near, far]) stream.destroy();
  for (const datagrams of [native, udp]) datagrams.close();
  await Promise.all([...over, ...[a, b].map(closed)]);
}));

test('data that waits in a socket is not lost', isolated(async () => {
  const server = await listening(0, HOST);
  const [client, peer] = await connection(server, server.address().port, HOST);
  const readable = once(client, 'readable');
  peer.write('kept');
  await readable;
  assert.throws(() => fromHandle(client), { code: 'EBUSY', syscall: 'fromHandle' });
  assert.equal(String(client.read()), 'kept');
  peer.write('read on');
  // The refusal left it reading.
  await once(client, 'readable');
  assert.equal(String(client.read()), 'read on');
  const over = [client, peer].map((socket) => event(socket, 'close'));
  for (const socket of [client, peer]) socket.destroy();
  server.close();
  await Promise.all([...over, event(server, 'close')]);
}));

test('what is no handle, and what is closed', isolated(async ({ folder }) => {
  for (const wrong of [undefined, null, {}, 'text', true, new net.BlockList()]) {
    assert.throws(() => fromHandle(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => toHandle(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  assert.throws(() => toHandle(new net.Socket()), { code: 'ERR_INVALID_ARG_TYPE' });
  for (const wrong of [-1, 1.5, NaN]) assert.throws(() => fromHandle(wrong), { code: /^ERR_(OUT_OF_RANGE|INVALID_ARG_(TYPE|VALUE))$/ });
  assert.throws(() => fromHandle(1_000_000), { code: 'EBADF', syscall: 'fromHandle' });
  for (const unopened of [new net.Socket(), net.createServer()]) {
    assert.throws(() => fromHandle(unopened), { code: 'EBADF', syscall: 'fromHandle' });
  }
  assert.throws(() => fromHandle(new tls.TLSSocket(new net.Socket())), { code: 'ERR_INVALID_ARG_VALUE' });
  const file = await fs.promises.open(`${folder}/file`, 'w');
  assert.throws(() => fromHandle(file), { code: 'ERR_FERRULE_KIND' });
  assert.throws(() => fromHandle(file, { keepOpen: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
  for (const options of [1, 'text']) {
    assert.throws(() => fromHandle(file, options), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => toHandle(new Pipe(), options), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  await file.close();
  fs.unlinkSync(`${folder}/file`);
  const [near, far] = Pipe.pair();
  const over = [near, far].map((pipe) => event(pipe, 'close'));
  for (const pipe of [near, far]) pipe.destroy();
  await Promise.all(over);
  assert.throws(() => fromHandle(near), { code: 'ERR_FERRULE_CLOSED' });
  assert.throws(() => toHandle(near), { code: 'ERR_FERRULE_CLOSED' });
}));
