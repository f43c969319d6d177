'use strict';

/** UDP: datagrams between two of them, or Node's own dgram at the other end. */

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const { test } = require('node:test');
const { event, ferrule, isolated, turn } = require('./helpers.js');

const { TCP, UDP } = ferrule;
const HOST = '127.0.0.1';

function close(...sockets) {
  return Promise.all(sockets.map((socket) => new Promise((resolve) => { socket.close(resolve); })));
}

/** Two bound sockets; the second receives. */
function pair() {
  const a = new UDP().bind(HOST, 0);
  const b = new UDP().bind(HOST, 0).startReceiving();
  return { a, b, to: b.getsockname().port, from: a.getsockname() };
}

test('datagrams arrive whole, with who sent them', isolated(async () => {
  const { a, b, to, from } = pair();
  const sent = new Promise((resolve) => { a.send(['hel', Buffer.from('lo')], to, HOST, resolve); });
  const [data, info] = await once(b, 'message');
  assert.equal(String(data), 'hello');
  assert.deepEqual(info, { ...from, size: 5, truncated: false });
  assert.equal(await sent, null);
  const empty = once(b, 'message');
  assert.equal(a.trySend('', to), true);
  assert.equal((await empty)[0].length, 0);
  const large = once(b, 'message');
  a.send(new Uint8Array(60_000).fill(7), to);
  assert.ok((await large)[0].equals(Buffer.alloc(60_000, 7)));
  await close(a, b);
}));

test('callbacks come later, once each, in all forms of send', isolated(async () => {
  const { a, b, to } = pair();
  let calls = 0;
  const all = new Promise((resolve) => {
    const count = (error) => {
      assert.equal(error, null);
      calls += 1;
      if (calls === 3) resolve();
    };
    a.send('1', to, HOST, count);
    a.send('2', to, count);
    const other = new UDP().connect(to);
    other.send('3', count);
    other.close();
    assert.equal(calls, 0);
  }).catch((error) => error);
  const texts = new Set();
  await new Promise((resolve) => {
    b.on('message', (data) => {
      texts.add(String(data));
      if (texts.size === 3) resolve();
    });
  });
  a.send('4', to);
  assert.deepEqual([...texts].sort(), ['1', '2', '3']);
  await Promise.race([all, turn(5)]);
  await close(a, b);
}));

test('a connected socket has one peer', isolated(async () => {
  const { a, b, to } = pair();
  assert.throws(() => a.send('x'), { code: 'EDESTADDRREQ', syscall: 'send' });
  assert.throws(() => a.disconnect(), { code: 'ENOTCONN' });
  assert.equal(a.connect(to, HOST), a);
  assert.throws(() => a.connect(to, HOST), { code: 'EISCONN' });
  assert.equal(a.getpeername().port, to);
  assert.throws(() => a.send('x', to, HOST), { code: 'EISCONN' });
  const came = once(b, 'message');
  a.send('x');
  await came;
  a.disconnect();
  assert.throws(() => a.getpeername(), { code: 'ENOTCONN' });
  await close(a, b);
}));

test('that nobody is there is an error event, and the socket goes on', isolated(async () => {
  const { a, b, to, from } = pair();
  await close(b);
  a.connect(to).startReceiving();
  const failed = event(a, 'error');
  a.send('x');
  assert.equal((await failed).code, 'ECONNREFUSED');
  const other = new UDP().bind(HOST, to);
  const came = once(a, 'message');
  other.send('here again', from.port);
  assert.equal(String((await came)[0]), 'here again');
  await close(a, other);
}));

test('receiving stops and starts, nothing is lost in between', isolated(async () => {
  const { a, b, to } = pair();
  const first = once(b, 'message');
  b.once('message', () => b.stopReceiving());
  for (const word of ['one', 'two', 'three']) a.send(word, to);
  assert.equal(String((await first)[0]), 'one');
  const rest = [];
  b.on('message', (data) => rest.push(String(data)));
  await turn(3);
  assert.deepEqual(rest, []);
  b.startReceiving();
  while (rest.length < 2) await once(b, 'message');
  assert.deepEqual(rest, ['two', 'three']);
  await close(a, b);
}));

test('Node itself at the other end, and in the place of a UDP', isolated(async () => {
  const { a, b, to } = pair();
  const socket = dgram.createSocket('udp4');
  const came = once(b, 'message');
  socket.send('from dgram', to, HOST);
  const [data, { port }] = await came;
  assert.equal(String(data), 'from dgram');
  const answer = once(socket, 'message');
  b.send('back', port, HOST);
  assert.equal(String((await answer)[0]), 'back');
  const closed = event(b, 'close');
  const native = b.toDgram();
  await closed;
  assert.equal(native.address().port, to);
  const again = once(native, 'message');
  a.send('to dgram', to);
  assert.equal(String((await again)[0]), 'to dgram');
  await Promise.all([close(a), new Promise((resolve) => { native.close(resolve); }), new Promise((resolve) => { socket.close(resolve); })]);
}));

test('close comes once, and tells every send', isolated(async () => {
  const { a, b, to } = pair();
  let told = 0;
  for (let i = 0; i < 100; i += 1) a.send('x', to, HOST, () => { told += 1; });
  let closes = 0;
  a.on('close', () => {
    closes += 1;
    assert.equal(told, 100);
  });
  a.close();
  a.close();
  assert.equal(a.destroyed, true);
  await close(b);
  await turn(2);
  assert.equal(closes, 1);
}));

test('sizes, the descriptor and the loop', isolated(async () => {
  const { a, b } = pair();
  a.sendBufferSize = 50_000;
  a.receiveBufferSize = 60_000;
  assert.ok(a.sendBufferSize >= 50_000 && a.receiveBufferSize >= 60_000);
  assert.ok(Number.isInteger(a.fileno()));
  assert.equal(b.unref().hasRef(), false);
  assert.equal(b.ref().hasRef(), true);
  const six = new UDP().bind('::1', 0, { ipv6Only: true });
  assert.equal(six.getsockname().family, 'IPv6');
  await close(a, b, six);
}));

const GROUP = '239.255.77.79';

test('a multicast group', isolated(async () => {
  const a = new UDP().bind(HOST, 0);
  const b = new UDP().bind('0.0.0.0', 0).startReceiving();
  assert.throws(() => b.dropMembership(GROUP, HOST), { code: 'EADDRNOTAVAIL', syscall: 'dropMembership', address: GROUP });
  assert.equal(b.addMembership(GROUP, HOST), b);
  assert.throws(() => b.addMembership(GROUP, HOST), { code: 'EADDRINUSE', syscall: 'addMembership' });
  assert.equal(a.setMulticastInterface(HOST).setMulticastLoopback().setMulticastTTL(0), a);
  const came = once(b, 'message');
  a.send('to all', b.getsockname().port, GROUP);
  const [data, info] = await came;
  assert.equal(String(data), 'to all');
  assert.equal(info.port, a.getsockname().port);
  b.dropMembership(GROUP, HOST);
  a.setMulticastInterface();
  await close(a, b);
}));

test('how far datagrams go', isolated(async () => {
  const { a, b, to } = pair();
  const everybody = new UDP().bind('0.0.0.0', 0).startReceiving();
  const { port } = everybody.getsockname();
  assert.throws(() => a.send('x', port, '127.255.255.255'), { code: 'EACCES', syscall: 'send' });
  assert.equal(a.setBroadcast(true).setTTL(1).setMulticastLoopback(false), a);
  const came = once(everybody, 'message');
  a.send('every', port, '127.255.255.255');
  assert.equal(String((await came)[0]), 'every');
  a.setBroadcast(false);
  assert.throws(() => a.send('x', port, '127.255.255.255'), { code: 'EACCES' });
  a.send('x', to);
  await once(b, 'message');
  await close(a, b, everybody);
}));

test('a socket made with its family, and what waits for the kernel', isolated(async () => {
  for (const Class of [UDP, TCP]) {
    assert.throws(() => new Class().getsockname(), { code: 'EBADF' });
    const socket = new Class({ family: 'IPv4' });
    assert.deepEqual(socket.getsockname(), { address: '0.0.0.0', port: 0, family: 'IPv4' });
    const fd = socket.fileno();
    socket.sendBufferSize = 50_000;
    assert.throws(() => socket.bind('::1', 0), { code: 'EAFNOSUPPORT' });
    assert.throws(() => socket.open(fd), { code: 'EISCONN' });
    socket.bind(HOST, 0);
    assert.equal(socket.fileno(), fd);
    const closed = once(socket, 'close');
    if (Class === UDP) socket.close();
    else socket.destroy();
    await closed;
    for (const family of ['ipv4', 4, null, '']) {
      assert.throws(() => new Class({ family }), { code: 'ERR_INVALID_ARG_VALUE' });
    }
    assert.throws(() => new Class(7), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  const udp = new UDP({ family: 'IPv4' }).startReceiving();
  udp.setBroadcast();
  assert.deepEqual([udp.sendQueueSize, udp.sendQueueCount], [0, 0]);
  const came = once(udp, 'message');
  udp.send('x', udp.getsockname().port);
  assert.equal(String((await came)[0]), 'x');
  assert.deepEqual([udp.sendQueueSize, udp.sendQueueCount], [0, 0]);
  await close(udp);
  assert.deepEqual([udp.sendQueueSize, udp.sendQueueCount], [0, 0]);
}));

test('options that a UDP refuses', isolated(async () => {
  const { a, b } = pair();
  const fresh = new UDP();
  for (const [method, ...args] of [['addMembership', GROUP], ['dropMembership', GROUP], ['setMulticastInterface', HOST],
    ['setMulticastLoopback', true], ['setMulticastTTL', 1], ['setTTL', 1], ['setBroadcast', true]]) {
    assert.throws(() => fresh[method](...args), { code: 'EBADF', syscall: method }, method);
    assert.throws(() => UDP.prototype[method].call({}, ...args), TypeError, method);
  }
  assert.throws(() => a.addMembership('all'), { code: 'ERR_FERRULE_ADDRESS' });
  assert.throws(() => a.addMembership(GROUP, 'lo'), { code: 'ERR_FERRULE_ADDRESS' });
  assert.throws(() => a.addMembership(HOST), { code: 'EINVAL' });
  assert.throws(() => a.addMembership('ff01::1'), { code: 'EAFNOSUPPORT' });
  assert.throws(() => a.addMembership(), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => a.addMembership(GROUP, 7), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => a.setMulticastInterface('192.0.2.1'), { code: 'EADDRNOTAVAIL' });
  for (const method of ['setTTL', 'setMulticastTTL']) {
    assert.throws(() => a[method](256), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => a[method]('1'), { code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => a[method](), { code: 'EINVAL' });
  }
  assert.throws(() => a.setTTL(0), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => a.setBroadcast('yes'), { code: 'ERR_INVALID_ARG_TYPE' });
  await close(a, b, fresh);
}));

test('what a UDP refuses', isolated(async () => {
  const { a, b, to } = pair();
  const other = new UDP();
  assert.throws(() => other.bind('nowhere', 0), { code: 'ERR_FERRULE_ADDRESS' });
  assert.throws(() => other.bind(HOST, to), { code: 'EADDRINUSE' });
  assert.throws(() => other.bind(HOST, -1), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => a.bind(HOST, 0), { status: 'FER_EINVAL' });
  assert.throws(() => b.startReceiving(), { code: 'EALREADY' });
  assert.throws(() => a.send(new Uint8Array(70_000), to), { code: 'EMSGSIZE' });
  assert.throws(() => a.send(7, to), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => a.send('x', 'port'), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => a.send('x', to, HOST, 7), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => a.send('x', to, `${HOST}.1`), { code: 'ERR_FERRULE_ADDRESS' });
  assert.throws(() => a.trySend({}, to), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => other.open(1 << 20), { code: 'EBADF' });
  const file = fs.openSync('/dev/null');
  assert.throws(() => other.open(file), { code: 'ENOTSOCK' });
  fs.closeSync(file);
  const gone = new Uint8Array(10);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.throws(() => a.send(gone, to), TypeError);
  const tcp = new TCP().bind(HOST, 0);
  assert.throws(() => other.open(tcp.fileno()), { code: 'EPROTOTYPE' });
  for (const stranger of [{}, tcp, dgram.createSocket]) {
    for (const method of ['bind', 'send', 'trySend', 'startReceiving', 'stopReceiving', 'connect', 'disconnect']) {
      assert.throws(() => UDP.prototype[method].call(stranger, HOST, 0), TypeError, method);
    }
  }
  tcp.destroy();
  await Promise.all([event(tcp, 'close'), close(a, b)]);
  assert.throws(() => a.send('x', to), { code: 'ERR_FERRULE_CLOSED' });
  assert.throws(() => a.startReceiving(), { code: 'ERR_FERRULE_CLOSED' });
  other.close();
  await event(other, 'close');
}));
