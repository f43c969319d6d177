'use strict';

/** Peers that break the protocol, or die: the error has a name, what was complete is delivered, nothing leaks. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { addon, closed, event, ferrule, isolated, turn } = require('./helpers.js');

const HELLO = Buffer.from('010000000000001c46455252554c450a0001000100000000000000000400000000000000', 'hex');

/** A frame of the native wire. */
function frame(kind, payload = Buffer.alloc(0), { handles = 0, length = payload.length } = {}) {
  const header = Buffer.alloc(8);
  header[0] = kind;
  header[1] = handles;
  header.writeUInt32BE(length, 4);
  return Buffer.concat([header, payload]);
}

/** What happens on a channel, until it is closed. */
async function watch(channel) {
  const seen = { messages: [], error: null, end: false };
  channel.on('message', (message) => seen.messages.push(message.toString()));
  channel.on('end', () => { seen.end = true; });
  channel.on('error', (error) => { seen.error = error; });
  await event(channel, 'close');
  return seen;
}

/** Send bytes to a server from a raw socket; gives the server's error, or what its channel saw. */
async function attack(address, file, bytes, { end = true, options = {} } = {}) {
  let found;
  const result = new Promise((resolve) => { found = resolve; });
  const server = await ferrule.listen(address, options, (channel) => { watch(channel).then(found); });
  server.on('clientError', (error) => found({ refused: error }));
  const socket = net.connect(file);
  socket.on('error', () => {});
  const gone = event(socket, 'close');
  socket.resume();
  socket.write(bytes);
  if (end) socket.end();
  const seen = await result;
  socket.destroy();
  await gone;
  await server.close();
  return seen;
}

/** A server that sends bytes to whoever comes. */
async function fakeServer(file, bytes, { end = true } = {}) {
  const sockets = [];
  const server = net.createServer((socket) => {
    sockets.push(event(socket, 'close'));
    socket.on('error', () => {});
    socket.resume();
    if (end) socket.end(bytes);
    else socket.write(bytes);
  });
  server.listen(file);
  await once(server, 'listening');
  return async () => {
    server.close();
    await Promise.all([event(server, 'close'), ...sockets]);
  };
}

test('garbage instead of a hello, to a server', isolated(async ({ address, path: file }) => {
  const { refused } = await attack(address, file, 'GET / HTTP/1.1\r\n\r\n');
  assert.equal(refused.code, 'EPROTO');
  assert.equal(refused.status, 'FER_EPROTO');
  assert.match(refused.message, /plain/);
}));

test('garbage instead of a hello, from a server', isolated(async ({ address, path: file }) => {
  const stop = await fakeServer(file, 'HTTP/1.1 400 Bad Request\r\n\r\n');
  await assert.rejects(ferrule.connect(address), { code: 'EPROTO', syscall: 'connect', status: 'FER_EPROTO', address });
  await stop();
}));

test('a server that says nothing', isolated(async ({ address, path: file }) => {
  const stop = await fakeServer(file, '', { end: false });
  await assert.rejects(ferrule.connect(address, { handshakeTimeout: 30 }), { code: 'ETIMEDOUT', status: 'FER_ETIMEDOUT' });
  await stop();
}));

test('a client that says nothing', isolated(async ({ address, path: file }) => {
  const { refused } = await attack(address, file, '', { end: false, options: { handshakeTimeout: 30 } });
  assert.equal(refused.code, 'ETIMEDOUT');
}));

test('a client that closes before its hello', isolated(async ({ address, path: file }) => {
  const { refused } = await attack(address, file, HELLO.subarray(0, 20));
  assert.equal(refused.code, 'ECONNRESET');
}));

test('a clientError that nobody listens to is no error', isolated(async ({ address, path: file }) => {
  const server = await ferrule.listen(address, () => {});
  const socket = net.connect(file);
  socket.on('error', () => {});
  socket.end('garbage that is long enough');
  socket.resume();
  await event(socket, 'close');
  await turn(2);
  await server.close();
}));

test('a frame cut in the middle', isolated(async ({ address, path: file }) => {
  const whole = frame(2, Buffer.from('whole'));
  const cut = frame(2, Buffer.from('cut')).subarray(0, 10);
  const seen = await attack(address, file, Buffer.concat([HELLO, whole, cut]));
  assert.deepEqual(seen.messages, ['whole']);
  assert.equal(seen.error.code, 'ECONNRESET');
  assert.equal(seen.error.status, 'FER_ECONNRESET');
  assert.equal(seen.end, false);
}));

test('the end without a goodbye', isolated(async ({ address, path: file }) => {
  const seen = await attack(address, file, Buffer.concat([HELLO, frame(2, Buffer.from('whole'))]));
  assert.deepEqual(seen.messages, ['whole']);
  assert.equal(seen.error.code, 'ECONNRESET');
}));

test('a length of 0xffffffff', isolated(async ({ address, path: file }) => {
  const bytes = Buffer.concat([HELLO, frame(2, Buffer.from('whole')), frame(2, Buffer.from('big'), { length: 0xffffffff })]);
  const before = process.memoryUsage().rss;
  const seen = await attack(address, file, bytes, { end: false });
  assert.deepEqual(seen.messages, ['whole']);
  assert.equal(seen.error.code, 'EMSGSIZE');
  assert.equal(seen.error.status, 'FER_EMSGSIZE');
  assert.ok(process.memoryUsage().rss - before < 100e6);
  const plain = await attack(address, file, Buffer.from('ffffffff00', 'hex'), { end: false, options: { wire: 'plain' } });
  assert.equal(plain.error.code, 'EMSGSIZE');
}));

test('a length that is allowed, and a peer that sends little of it', isolated(async ({ address, path: file }) => {
  const bytes = Buffer.concat([HELLO, frame(2, Buffer.from('little'), { length: 60 << 20 })]);
  const before = process.memoryUsage().rss;
  const seen = await attack(address, file, bytes);
  assert.deepEqual(seen.messages, []);
  assert.equal(seen.error.code, 'ECONNRESET');
  assert.ok(process.memoryUsage().rss - before < 30e6);
}));

test('an unknown kind', isolated(async ({ address, path: file }) => {
  const bytes = Buffer.concat([HELLO, frame(2, Buffer.from('whole')), frame(77, Buffer.from('what'))]);
  const seen = await attack(address, file, bytes, { end: false });
  assert.deepEqual(seen.messages, ['whole']);
  assert.equal(seen.error.code, 'EPROTO');
  assert.equal(seen.error.status, 'FER_EPROTO');
}));

test('an unknown kind that may be skipped', isolated(async ({ address, path: file }) => {
  const bytes = Buffer.concat([HELLO, frame(200, Buffer.from('new')), frame(2, Buffer.from('old')), frame(4)]);
  const seen = await attack(address, file, bytes);
  assert.deepEqual(seen, { messages: ['old'], error: null, end: true });
}));

test('handles that nobody asked for', isolated(async ({ address, path: file }) => {
  const bytes = Buffer.concat([HELLO, frame(2, Buffer.from('x'), { handles: 1 })]);
  const seen = await attack(address, file, bytes, { end: false });
  assert.equal(seen.error.code, 'EPROTO');
}));

/** Node in another process, killed with a message half sent. */
async function victim(role, address) {
  const child = spawn(process.execPath, [path.join(__dirname, 'fixtures', 'victim.js'), role, address], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return child;
}

test('a client that is killed in the middle of a message', isolated(async ({ address }) => {
  let found;
  const result = new Promise((resolve) => { found = resolve; });
  const server = await ferrule.listen(address, (channel) => found(channel));
  const child = await victim('client', address);
  const over = once(child, 'exit');
  const channel = await result;
  assert.equal(String(await channel.receive()), 'whole');
  // The rest of the next message is more than the kernel holds: while nobody reads, it waits in the child.
  channel.pause();
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  const [, signal] = await over;
  assert.equal(signal, 'SIGKILL');
  await assert.rejects(channel.receive(), { code: 'ECONNRESET', syscall: 'receive', status: 'FER_ECONNRESET' });
  await channel.close();
  await server.close();
}));

test('a server that is killed in the middle of a message', isolated(async ({ address, folder }) => {
  const child = await victim('server', address);
  const over = once(child, 'exit');
  const channel = await ferrule.connect(address);
  assert.equal(String(await channel.receive()), 'whole');
  channel.pause();
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await over;
  let seen = 0;
  await assert.rejects(async () => {
    for await (const message of channel) seen += message.length;
  }, { code: 'ECONNRESET' });
  assert.equal(seen, 0);
  await assert.rejects(channel.send('x'), { code: 'ECONNRESET' });
  await closed(channel);
  // Its socket file is stale: the next server takes its place.
  const next = await ferrule.listen(address, () => {});
  await next.close();
  assert.deepEqual(fs.readdirSync(folder), []);
}));
