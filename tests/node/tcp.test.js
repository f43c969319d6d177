'use strict';

/** TCP as a stream and as a listener, with both ends here, or Node's own net at the other one. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { event, ferrule, isolated, turn } = require('./helpers.js');

const { Pipe, TCP, UDP } = ferrule;
const HOST = '127.0.0.1';

async function close(...handles) {
  const open = handles.filter((handle) => !handle.closed);
  const closes = open.map((handle) => event(handle, 'close'));
  for (const handle of open) handle.destroy();
  await Promise.all(closes);
}

/** A listener, two ends of a connection to it, and done(). */
async function pair(options = {}) {
  const listener = new TCP().bind(HOST, 0);
  const accepted = new Promise((resolve) => { listener.listen(() => resolve(listener.accept(new TCP(options)))); });
  const client = new TCP(options);
  assert.equal(await client.connect(listener.getsockname().port), client);
  const peer = await accepted;
  return { listener, client, peer, done: () => close(listener, client, peer) };
}

async function read(stream) {
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks).toString();
}

test('bytes go both ways, and the end after them', isolated(async () => {
  const { client, peer, done } = await pair({ allowHalfOpen: true });
  client.write('one ');
  client.end(Buffer.from('two'));
  assert.equal(await read(peer), 'one two');
  peer.end('answer');
  assert.equal(await read(client), 'answer');
  await done();
}));

test('much data comes whole', isolated(async () => {
  const { client, peer, done } = await pair();
  const size = 5_000_000;
  let seen = 0;
  peer.on('data', (chunk) => {
    for (let i = 0; i < chunk.length; i += 997) assert.equal(chunk[i], (seen + i) % 251);
    seen += chunk.length;
  });
  client.end(Buffer.from(Uint8Array.from({ length: size }, (_, i) => i % 251)));
  await once(peer, 'end');
  assert.equal(seen, size);
  await done();
}));

test('Node itself at the other end, both ways round', isolated(async () => {
  const listener = new TCP().bind(HOST, 0).listen();
  const waits = event(listener, 'connection');
  const socket = net.connect(listener.getsockname().port, HOST);
  await waits;
  const peer = listener.accept();
  peer.end('from ferrule');
  const gone = event(socket, 'close');
  assert.equal(await read(socket), 'from ferrule');
  await gone;
  const server = net.createServer((other) => other.end('from node')).listen(0, HOST);
  await event(server, 'listening');
  const client = new TCP();
  await client.connect(server.address().port, HOST);
  assert.equal(await read(client), 'from node');
  const over = event(server, 'close');
  server.close();
  await close(listener, client, peer);
  await over;
}));

test('addresses of both families', isolated(async () => {
  const { listener, client, peer, done } = await pair();
  const { port } = listener.getsockname();
  assert.deepEqual(listener.getsockname(), { address: HOST, port, family: 'IPv4' });
  assert.deepEqual(client.getpeername(), { address: HOST, port, family: 'IPv4' });
  assert.deepEqual(peer.getpeername(), client.getsockname());
  assert.throws(() => listener.getpeername(), { code: 'ENOTCONN', syscall: 'getpeername' });
  const six = new TCP().bind('::1', 0, { ipv6Only: true }).listen();
  const other = new TCP();
  await other.connect(six.getsockname().port, '::1');
  assert.equal(other.getpeername().family, 'IPv6');
  assert.equal(other.getpeername().address, '::1');
  await close(six, other);
  await done();
}));

test('several sockets share a port when all of them say so', isolated(async () => {
  const one = new TCP().bind(HOST, 0, { reusePort: true }).listen();
  const { port } = one.getsockname();
  const other = new TCP().bind(HOST, port, { reusePort: true }).listen();
  const selfish = new TCP();
  assert.throws(() => selfish.bind(HOST, port), { code: 'EADDRINUSE', status: 'FER_EADDRINUSE', address: `${HOST}:${port}` });
  await close(one, other, selfish);
}));

test('options, sizes and the descriptor', isolated(async () => {
  const { client, done } = await pair();
  assert.equal(client.setNoDelay(), client);
  client.setNoDelay(false).setKeepAlive(true, 30).setKeepAlive(false).setBlocking(false);
  assert.equal(client.simultaneousAccepts(false).simultaneousAccepts(), client);
  client.sendBufferSize = 50_000;
  client.receiveBufferSize = 60_000;
  assert.ok(client.sendBufferSize >= 50_000 && client.receiveBufferSize >= 60_000);
  assert.throws(() => { client.sendBufferSize = 0; }, { code: 'ERR_OUT_OF_RANGE' });
  assert.ok(fs.readlinkSync(`/proc/self/fd/${client.fileno()}`).startsWith('socket:'));
  assert.equal(client.hasRef(), true);
  assert.equal(client.unref().hasRef(), false);
  assert.equal(client.ref().hasRef(), true);
  await done();
  client.ref().unref();
  assert.throws(() => client.fileno(), { code: 'ERR_FERRULE_CLOSED', status: 'FER_ECLOSED' });
}));

test('a connect is refused, ended by a signal, or by destroy', isolated(async () => {
  const listener = new TCP().bind(HOST, 0);
  const { port } = listener.getsockname();
  const refused = new TCP();
  await assert.rejects(refused.connect(port), { code: 'ECONNREFUSED', syscall: 'connect', address: `${HOST}:${port}` });
  assert.equal(refused.destroyed, true);
  listener.listen();
  const controller = new AbortController();
  const aborted = new TCP();
  const connecting = aborted.connect(port, HOST, { signal: controller.signal, timeout: 10_000 });
  controller.abort();
  await assert.rejects(connecting, { name: 'AbortError', code: 'ABORT_ERR' });
  const destroyed = new TCP();
  const ended = destroyed.connect(port);
  destroyed.destroy();
  await assert.rejects(ended, { code: 'ECANCELED', status: 'FER_ECANCELED' });
  await close(listener);
}));

test('what a TCP refuses', isolated(async () => {
  const { listener, client, done } = await pair();
  const { port } = listener.getsockname();
  const other = new TCP();
  assert.throws(() => other.bind('localhost', 0), { code: 'ERR_FERRULE_ADDRESS', status: 'FER_EADDRESS' });
  assert.throws(() => other.bind(`${HOST}\0`, 0), { code: 'ERR_FERRULE_ADDRESS' });
  assert.throws(() => other.bind(HOST, 65536), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => other.bind(HOST), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => other.bind(7, 0), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => other.bind(HOST, 0, { reusePort: 'yes' }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => other.bind(HOST, port), { code: 'EADDRINUSE' });
  assert.throws(() => other.listen(), { code: 'EDESTADDRREQ' });
  assert.throws(() => other.fileno(), { code: 'EBADF' });
  assert.throws(() => other.detach(), { code: 'EBADF' });
  assert.throws(() => other.setNoDelay(), { code: 'EBADF' });
  assert.throws(() => other.setNoDelay('yes'), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => other.setKeepAlive(true, -1), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => other.open(1 << 20), { code: 'EBADF' });
  const file = fs.openSync('/dev/null');
  assert.throws(() => other.open(file), { code: 'ENOTSOCK' });
  fs.closeSync(file);
  const udp = new UDP().bind(HOST, 0);
  assert.throws(() => other.open(udp.fileno()), { code: 'EPROTOTYPE' });
  await new Promise((resolve) => { udp.close(resolve); });
  assert.throws(() => listener.bind(HOST, 0), { status: 'FER_EINVAL' });
  assert.throws(() => listener.listen(), { code: 'EALREADY' });
  assert.throws(() => listener.accept(), { code: 'EAGAIN' });
  assert.throws(() => listener.accept({}), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => listener.accept(new Pipe()), { code: 'ERR_FERRULE_KIND' });
  assert.throws(() => client.accept(other), { code: 'EINVAL' });
  await assert.rejects(client.connect(port), { code: 'EISCONN' });
  await assert.rejects(other.connect(port, 'localhost'), { code: 'ERR_FERRULE_ADDRESS' });
  await assert.rejects(TCP.prototype.connect.call({}, 1), TypeError);
  for (const stranger of [{}, new net.Socket(), new Pipe()]) {
    for (const method of ['bind', 'getsockname', 'setNoDelay', 'setKeepAlive', 'simultaneousAccepts']) {
      if (stranger instanceof Pipe && method === 'getsockname') continue;
      assert.throws(() => TCP.prototype[method].call(stranger, HOST, 0), TypeError, method);
    }
  }
  await done();
}));

test('writing after the end and after destroy', isolated(async () => {
  const { client, peer, done } = await pair({ allowHalfOpen: true });
  client.end();
  const late = event(client, 'error');
  client.write('x');
  assert.equal((await late).code, 'ERR_STREAM_WRITE_AFTER_END');
  assert.throws(() => client.tryWrite('x'), { status: 'FER_ECLOSED' });
  peer.destroy();
  const error = await new Promise((resolve) => { peer.write('x', resolve); });
  assert.equal(error.code, 'ERR_STREAM_DESTROYED');
  await done();
}));

test('a TCP becomes a net.Socket or a net.Server', isolated(async () => {
  const { listener, client, peer, done } = await pair();
  assert.throws(() => client.toServer(), { code: 'EISCONN' });
  assert.throws(() => listener.toSocket(), { code: 'ENOTCONN' });
  const closed = event(client, 'close');
  const socket = client.toSocket();
  await closed;
  assert.ok(socket instanceof net.Socket);
  socket.end('over a net.Socket');
  assert.equal(await read(peer), 'over a net.Socket');
  if (!socket.destroyed) await event(socket.resume(), 'close');
  const { port } = listener.getsockname();
  const server = listener.toServer((other) => other.end('served by net'));
  await event(server, 'listening');
  assert.equal(server.address().port, port);
  const again = new TCP();
  await again.connect(port);
  assert.equal(await read(again), 'served by net');
  const over = event(server, 'close');
  server.close();
  await close(again);
  await over;
  await done();
}));

test('nothing is taken out while data waits', isolated(async () => {
  const { client, peer, done } = await pair();
  const big = Buffer.alloc(20_000_000);
  client.write(big);
  assert.throws(() => client.detach(), { code: 'EBUSY', syscall: 'detach' });
  peer.read(0);
  await event(peer, 'readable');
  assert.throws(() => peer.toSocket(), { code: 'EBUSY' });
  assert.equal(peer.destroyed, false);
  client.on('error', () => {});
  await done();
  await turn();
}));
