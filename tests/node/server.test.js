'use strict';

/** Servers that are in use: limits, counting, stopping, sockets from a service manager, statistics. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { abortAll, addon, closed, event, ferrule, isolated, listenQueue, run, turn, ways } = require('./helpers.js');

const HELLO = Buffer.from('010000000000001c46455252554c450a0001000100000000000000000400000000000000', 'hex');

/** A connection that never says anything, and how it ends. */
function silent(file) {
  const socket = net.connect(file).on('error', () => {});
  socket.resume();
  return { socket, gone: event(socket, 'close'), open: event(socket, 'connect') };
}

/** Wait until something is so, one turn of the loop after another. */
async function until(condition) {
  while (!condition()) await turn();
}

/** The errors of clients, as they come. */
function refusals(server) {
  const errors = [];
  server.on('clientError', (error) => errors.push(error));
  return errors;
}

test('a server counts its channels', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address);
  assert.equal(server.count, 0);
  const clients = [];
  const peers = [];
  for (let i = 1; i <= 3; i += 1) {
    clients.push(await ferrule.connect(address));
    peers.push(await next());
    assert.equal(server.count, i);
  }
  peers[0].resume();
  await clients[0].close();
  await closed(peers[0]);
  assert.equal(server.count, 2);
  await server.close();
  assert.equal(server.count, 2);
  await abortAll(...clients.slice(1), ...peers.slice(1));
  assert.equal(server.count, 0);
}));

test('a client more than may come is closed, and the others are served', isolated(async ({ address }) => {
  for (const [wire, limit] of [['native', { maxChannels: 2 }], ['plain', { maxChannels: 2, maxConnections: 1 }], ['native', { maxConnections: 2 }]]) {
    const { server, next } = await listenQueue(address, { ...limit, wire });
    const errors = refusals(server);
    const clients = [await ferrule.connect(address, { wire }), await ferrule.connect(address, { wire })];
    const peers = [await next(), await next()];
    if (wire === 'native') {
      await assert.rejects(ferrule.connect(address), { code: 'ECONNRESET' });
    } else {
      const third = await ferrule.connect(address, { wire });
      assert.equal(await third.receive(), null);
      await closed(third);
    }
    await until(() => errors.length > 0);
    assert.deepEqual(errors.map(({ code, syscall, status }) => [code, syscall, status]), [['EBUSY', 'accept', 'FER_EBUSY']]);
    assert.match(errors[0].message, /2 channels are open/);
    clients[0].send('served');
    assert.equal(String(await peers[0].receive()), 'served');

    // Where one has gone, another may come.
    await abortAll(clients[1], peers[1]);
    clients[1] = await ferrule.connect(address, { wire });
    peers[1] = await next();
    assert.equal(server.count, 2);
    const closing = server.close();
    await abortAll(...clients, ...peers);
    await closing;
  }
}));

test('a client that says nothing is closed when its time is up', isolated(async ({ address, path: file }) => {
  const { server } = await listenQueue(address, { handshakeTimeout: 50 });
  const refused = once(server, 'clientError');
  const { gone } = silent(file);
  const [error] = await refused;
  assert.equal(error.code, 'ETIMEDOUT');
  await gone;
  assert.equal(server.count, 0);
  await server.close();
}));

test('a thousand handshakes that are never finished, while others are served', isolated(async ({ address, path: file }) => {
  const LIMIT = 16;
  const FLOOD = 1000;
  const { server, next } = await listenQueue(address, { maxHalfOpen: LIMIT, handshakeTimeout: Infinity });
  const errors = refusals(server);
  const client = await ferrule.connect(address);
  const peer = await next();
  peer.on('message', (message) => peer.send(message));
  const strangers = [];
  for (let i = 0; i < FLOOD; i += 1) {
    strangers.push(silent(file));
    // Half of them stop in the middle of their hello.
    if (i % 2 === 0) strangers[i].socket.write(HELLO.subarray(0, 1 + (i % (HELLO.length - 1))));
    if (i % 100 === 99) {
      client.send(`echo ${i}`);
      assert.equal(String(await client.receive()), `echo ${i}`);
      const other = await ferrule.connect(address);
      const itsPeer = await next();
      itsPeer.send('welcome');
      assert.equal(String(await other.receive()), 'welcome');
      await abortAll(other, itsPeer);
    }
  }
  await Promise.all(strangers.map(({ open }) => open));
  await until(() => errors.length >= FLOOD - LIMIT);
  assert.deepEqual([...new Set(errors.map(({ code }) => code))], ['ECONNABORTED']);
  assert.ok(errors.length <= FLOOD);
  assert.equal(server.count, 1);
  // Those that are left go with the server.
  await server.close();
  await Promise.all(strangers.map(({ gone }) => gone));
  await abortAll(client, peer);
}));

test('drain() says goodbye to everybody, and waits for them', isolated(async ({ address, folder }) => {
  const { server, next } = await listenQueue(address);
  const clients = await Promise.all([1, 2, 3].map(() => ferrule.connect(address)));
  const peers = [await next(), await next(), await next()];
  const ends = peers.map((peer) => event(peer, 'close'));
  for (const [i, peer] of peers.entries()) peer.send(`last words ${i}`);
  const draining = server.drain();
  assert.equal(server.closed, true);
  assert.deepEqual(fs.readdirSync(folder), []);
  for (const client of clients) {
    assert.match(String(await client.receive()), /^last words \d$/);
    assert.equal(await client.receive(), null);
  }
  await draining;
  assert.equal(server.count, 0);
  await Promise.all(ends);
  await Promise.all(clients.map(closed));
  // Once more, it is over at once; so is a close().
  await server.drain();
  await server.close();
}));

test('drain() does not wait for ever, nor after a close()', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address, { closeTimeout: 50 });
  const client = await ferrule.connect(address);
  const peer = await next();
  await server.close();
  assert.equal(server.count, 1);
  // This client never reads, so it never says goodbye.
  await server.drain();
  assert.equal(server.count, 0);
  await assert.rejects(peer.close(), { code: 'ETIMEDOUT' });
  await abortAll(client);
}));

test('abort() waits for nobody', isolated(async ({ address, folder }) => {
  for (const drains of [false, true]) {
    const { server, next } = await listenQueue(address, { closeTimeout: 100_000_000 });
    const clients = await Promise.all([1, 2, 3].map(() => ferrule.connect(address)));
    const peers = [await next(), await next(), await next()];
    const ends = peers.map((peer) => event(peer, 'close'));
    // These clients never read.
    const sends = peers.map((peer) => assert.rejects(peer.send(Buffer.alloc(8 << 20)), { code: 'ECANCELED' }));
    const draining = drains ? server.drain() : undefined;
    assert.equal(server.abort(), undefined);
    assert.equal(server.closed, true);
    assert.deepEqual(fs.readdirSync(folder), []);
    await server.close();
    assert.equal(server.count, 0);
    await Promise.all([...ends, ...sends, draining]);
    for (const client of clients) await assert.rejects(async () => { while (await client.receive() !== null); }, { code: 'ECONNRESET' });
    server.abort();
    await server.drain();
    await abortAll(...clients);
  }
}));

test('drain() of a server that nobody came to', isolated(async ({ address }) => {
  const { server } = await listenQueue(address);
  await server.drain();
  const { server: other } = await listenQueue('fifo:');
  await other.drain();
}));

test('limits that are none', isolated(async ({ address }) => {
  for (const name of ['maxChannels', 'maxConnections', 'maxHalfOpen']) {
    await assert.rejects(ferrule.listen(address, { [name]: '3' }, () => {}), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    for (const value of [-1, 1.5, NaN, 2 ** 32]) {
      await assert.rejects(ferrule.listen(address, { [name]: value }, () => {}), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    }
  }
  const { server } = await listenQueue(address, { maxChannels: 0, maxHalfOpen: 0 });
  await server.close();
}));

/** Start Node with listening sockets from 3 on, as a service manager does. */
async function activate(names, listeners, args = []) {
  // Only the started process knows the number that LISTEN_PID must have.
  const script = 'export LISTEN_PID=$$; exec "$@"';
  const fixture = path.join(__dirname, 'fixtures', 'activated.js');
  const env = { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined, LISTEN_FDS: String(listeners.length) };
  if (names !== null) env.LISTEN_FDNAMES = names.join(':');
  const child = spawn('sh', ['-c', script, 'sh', process.execPath, fixture, ...args], {
    env,
    stdio: ['pipe', 'pipe', 'inherit', ...listeners],
  });
  child.stdout.setEncoding('utf8');
  const over = event(child, 'exit');
  const [text] = await once(child.stdout, 'data');
  return { ...JSON.parse(text), end: () => { child.stdin.end(); return over; } };
}

test('sockets from a service manager', isolated(async ({ folder }) => {
  const files = ['web', 'admin', 'web'].map((name, i) => `${folder}/${name}${i}`);
  // Nobody accepts here.
  const listeners = files.map((file) => new ferrule.Pipe().bind(file).listen(() => {}).detach());
  const { addresses, end } = await activate(['web', 'admin', 'web'], listeners);
  assert.deepEqual(addresses, {
    first: 'fd:3', second: 'fd:4', third: 'fd:5', web: 'fd:3', web1: 'fd:5', admin: 'fd:4',
    fourth: 'ENOENT', none: 'ENOENT', web2: 'ENOENT', prefix: 'ENOENT',
  });
  // They are served by the child, which inherited them.
  for (const file of files) {
    const channel = await ferrule.connect(`pipe:${file}`);
    channel.send('hello');
    assert.equal(String(await channel.receive()), 'hello');
    await channel.close();
  }
  assert.equal(await end(), 0);
  for (const fd of listeners) fs.closeSync(fd);
  for (const file of files) fs.unlinkSync(file);
}));

test('no sockets from a service manager', isolated(async () => {
  assert.throws(() => ferrule.activationAddress(), { code: 'ENOENT', syscall: 'activationAddress' });
  assert.throws(() => ferrule.activationAddress(7), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => ferrule.activationAddress('a\0b'), { name: 'TypeError', code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => ferrule.activationAddress(null, '0'), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => ferrule.activationAddress(null, -1), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  // Those of another process, and nonsense, are none.
  for (const env of [{ LISTEN_PID: '1', LISTEN_FDS: '1' }, { LISTEN_PID: 'x', LISTEN_FDS: '1' }, { LISTEN_FDS: '1' }]) {
    const { stdout, stderr } = await run('activated.js', ['tell'], { env });
    assert.equal(stderr, '');
    assert.deepEqual(new Set(Object.values(JSON.parse(stdout).addresses)), new Set(['ENOENT']));
  }
}));

test('statistics count messages, bytes and the high-water mark', isolated(async ({ folder }) => {
  for (const way of Object.values(ways)) {
    const { client, peer, done } = await way(folder, { highWater: 1000 });
    assert.deepEqual(client.stats(), {
      messagesIn: 0, messagesOut: 0, bytesIn: 0, bytesOut: 0, handlesIn: 0, handlesOut: 0, queued: 0, highWaterHits: 0,
    });
    client.send('12345');
    client.send(['67', '890']);
    assert.equal(String(await peer.receive()), '12345');
    assert.equal(String(await peer.receive()), '67890');
    peer.send(Buffer.alloc(0));
    await client.receive();
    assert.deepEqual(Object.values(client.stats()), [1, 2, 0, 10, 0, 0, 0, 0]);
    assert.deepEqual(Object.values(peer.stats()), [2, 1, 10, 0, 0, 0, 0, 0]);
    const big = Buffer.alloc(20_000_000);
    const sent = client.send(big);
    assert.equal(client.writable, false);
    const { queued, highWaterHits } = client.stats();
    assert.ok(queued > 1000);
    assert.equal(highWaterHits, 1);
    assert.ok(big.equals(await peer.receive()));
    await sent;
    await done();
    // Also afterwards.
    assert.equal(client.stats().messagesOut, 3);
    assert.equal(client.stats().bytesOut, 20_000_010);
  }
}));

test('statistics count handles', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address, { maxHandles: 2 });
  const client = await ferrule.connect(address);
  const peer = await next();
  const fd = fs.openSync('/dev/null', 'r');
  client.send('two', { handles: [fd, fd] });
  fs.closeSync(fd);
  const message = await peer.receive();
  for (const handle of message.handles) handle.close();
  assert.equal(client.stats().handlesOut, 2);
  assert.equal(peer.stats().handlesIn, 2);
  const closing = server.close();
  await abortAll(client, peer);
  await closing;
}));

test('inline: nothing goes through shared memory', isolated(async ({ folder }) => {
  const { client, peer, done } = await ways.pipe(folder, { inline: true });
  const big = Buffer.alloc(5_000_000, 'inline');
  client.send(big);
  assert.ok(big.equals(await peer.receive()));
  await done();
  await assert.rejects(ferrule.connect('pipe:x', { inline: 1 }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
}));
