'use strict';

/** Handles that go with messages: every kind, every way to receive, in order, together with their message. */

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { abortAll, event, ferrule, isolated, pair, turn } = require('./helpers.js');

const { Pipe, ReceivedHandle, TCP, UDP } = ferrule;
const HOST = '127.0.0.1';
const MOST = 64;

/** Two ends that take handles. */
async function open(maxHandles = MOST, options = {}) {
  const [a, b] = await ferrule.pair({ maxHandles, ...options });
  return { a, b, done: () => abortAll(a, b) };
}

/** A descriptor from which `text` can be read. */
function lettered(folder, text) {
  const file = `${folder}/lettered`;
  fs.writeFileSync(file, text);
  const fd = fs.openSync(file, 'r');
  fs.unlinkSync(file);
  return fd;
}

/** What is written on a received handle, which is closed. */
function letterOf(handle) {
  assert.ok(handle instanceof ReceivedHandle);
  assert.equal(handle.kind, 'other');
  const text = Buffer.alloc(100);
  const size = fs.readSync(handle.fd, text, 0, 100, 0);
  handle.close();
  return text.subarray(0, size).toString();
}

/** Send one handle; gives what arrived. */
async function passOne(handle, options) {
  const { a, b, done } = await open(1);
  const sent = a.send('take', { handles: [handle], ...options });
  const { data, handles } = await b.recvMessage();
  assert.equal(String(data), 'take');
  assert.equal(handles.length, 1);
  assert.equal(await sent, undefined);
  await done();
  return handles[0];
}

async function text(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function close(...things) {
  for (const thing of things) {
    const over = event(thing, 'close');
    if (typeof thing.destroy === 'function') thing.destroy();
    else thing.close();
    await over;
  }
}

test('the sequence of plain, empty, large and laden messages', isolated(async ({ folder }) => {
  const { a, b, done } = await open();
  const script = [['plain', 0], ['one', 1], ['plain', 0], ['two', 2], ['', 0], ['', 1], ['m'.repeat(1 << 20), 1], ['most', MOST]];
  const rounds = 5;
  let letter = 0;
  const sends = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const [data, count] of script) {
      const fds = Array.from({ length: count }, () => {
        letter += 1;
        return lettered(folder, `letter ${letter}`);
      });
      // Without a wait: most of them are queued, with handles that this side has closed.
      a.send(data, { handles: fds });
      for (const fd of fds) fs.closeSync(fd);
      sends.push([data, count]);
    }
  }
  let next = 0;
  for (const [i, [data, count]] of sends.entries()) {
    const message = await b.recvMessage();
    assert.ok(message.data.equals(Buffer.from(data)), `message ${i}`);
    assert.equal(message.handles.length, count, `message ${i}`);
    for (const handle of message.handles) {
      next += 1;
      assert.equal(letterOf(handle), `letter ${next}`);
    }
  }
  await done();
}));

test('every way to receive', isolated(async ({ folder }) => {
  const { a, b, done } = await open();
  const send = (word, count) => {
    const fds = Array.from({ length: count }, (_, i) => lettered(folder, `${word} ${i}`));
    a.send(word, { handles: fds });
    for (const fd of fds) fs.closeSync(fd);
  };
  send('receive', 1);
  const first = await b.receive();
  assert.ok(Buffer.isBuffer(first));
  assert.deepEqual([String(first), first.handles.map(letterOf)], ['receive', ['receive 0']]);
  send('recv', 2);
  const second = await b.recv({ timeout: 10_000 });
  assert.deepEqual(second.handles.map(letterOf), ['recv 0', 'recv 1']);
  send('none', 0);
  assert.deepEqual((await b.recv()).handles, []);
  send('recvMessage', 1);
  const { data, handles } = await b.recvMessage({ signal: new AbortController().signal });
  assert.deepEqual([String(data), handles.map(letterOf)], ['recvMessage', ['recvMessage 0']]);
  send('iterator', 1);
  for await (const message of b) {
    assert.deepEqual(message.handles.map(letterOf), ['iterator 0']);
    break;
  }
  const seen = [];
  b.on('message', (message, those) => seen.push([String(message), those.map(letterOf), message.handles === those]));
  send('event', 1);
  send('events', 2);
  send('no more', 0);
  while (seen.length < 3) await turn();
  assert.deepEqual(seen, [
    ['event', ['event 0'], true], ['events', ['events 0', 'events 1'], true], ['no more', [], true],
  ]);
  await done();
}));

test('a channel that takes none has none', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  client.send('one');
  client.send('two');
  client.send('three');
  const message = await peer.receive();
  assert.equal('handles' in message, false);
  assert.deepEqual(await peer.recvMessage(), { data: Buffer.from('two'), handles: [] });
  const [third, handles] = await once(peer, 'message');
  assert.deepEqual([String(third), handles], ['three', []]);
  const end = peer.recvMessage();
  client.close();
  assert.equal(await end, null);
  await done();
}));

test('TCP, listening and connected', isolated(async () => {
  const listener = new TCP().bind(HOST, 0).listen();
  const { port } = listener.getsockname();
  const received = await passOne(listener);
  assert.equal(received.kind, 'tcp');
  await close(listener);
  const taken = received.open();
  assert.ok(taken instanceof TCP);
  assert.equal(received.closed, true);
  assert.equal(received.fd, -1);
  const waits = event(taken, 'connection');
  taken.listen();
  const client = await new TCP().connect(port);
  await waits;
  const peer = taken.accept();

  const connection = await passOne(peer);
  await close(peer);
  const there = connection.open({ allowHalfOpen: true });
  there.end('through');
  assert.equal(await text(client), 'through');
  await close(taken);
  there.destroy();
  await turn(2);
}));

test('pipes, connected and listening', isolated(async ({ path: file }) => {
  const [one, other] = Pipe.pair({ ipc: true });
  const received = await passOne(one);
  assert.equal(received.kind, 'pipe');
  await close(one);
  const taken = received.open({ ipc: true });
  assert.equal(taken.ipc, true);
  taken.end('through');
  assert.equal(await text(other), 'through');
  taken.destroy();

  const listener = new Pipe().bind(file, { keepFile: true }).listen();
  const passed = await passOne(listener);
  await close(listener);
  const listening = passed.toServer((socket) => socket.end('served'));
  await event(listening, 'listening');
  const client = await new Pipe().connect(file);
  assert.equal(await text(client), 'served');
  await close(listening);
  fs.unlinkSync(file);
}));

test('UDP', isolated(async () => {
  const socket = new UDP().bind(HOST, 0);
  const { port } = socket.getsockname();
  const received = await passOne(socket);
  await close(socket);
  assert.equal(received.kind, 'udp');
  const taken = received.open().startReceiving();
  assert.ok(taken instanceof UDP);
  const sender = new UDP();
  const came = once(taken, 'message');
  sender.send('datagram', port, HOST);
  assert.equal(String((await came)[0]), 'datagram');
  await close(sender, taken);
}));

test("Node's own objects, both ways", isolated(async () => {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, HOST);
  await event(server, 'listening');
  const { port } = server.address();
  const accepted = event(server, 'connection');
  const client = net.connect(port, HOST);
  const connection = await accepted;

  const gone = event(connection, 'close');
  const socket = (await passOne(connection)).toSocket();
  // Closed here, as soon as the kernel had it.
  await gone;
  assert.ok(socket instanceof net.Socket);
  const over = event(socket.resume(), 'close');
  socket.end('from the other side');
  assert.equal(await text(client), 'from the other side');
  await over;

  const passedServer = await passOne(server, { keepOpen: true });
  assert.equal(server.listening, true);
  await close(server);
  const again = passedServer.toServer({ allowHalfOpen: false }, (socket) => socket.end('served'));
  await event(again, 'listening');
  assert.equal(again.address().port, port);
  assert.equal(await text(net.connect(port, HOST)), 'served');
  await close(again);

  const udp = dgram.createSocket('udp4').bind(0, HOST);
  await event(udp, 'listening');
  const { port: bound } = udp.address();
  const closing = event(udp, 'close');
  const received = await passOne(udp);
  await closing;
  const datagrams = received.toDgram();
  assert.equal(datagrams.address().port, bound);
  const came = once(datagrams, 'message');
  const sender = dgram.createSocket('udp4');
  sender.send('datagram', bound, HOST);
  assert.equal(String((await came)[0]), 'datagram');
  await close(sender, datagrams);
}));

test('files of fs.promises, both ways', isolated(async ({ folder }) => {
  fs.writeFileSync(`${folder}/file`, 'what is in the file');
  const file = await fs.promises.open(`${folder}/file`);
  fs.unlinkSync(`${folder}/file`);
  const received = await passOne(file);
  assert.equal(received.kind, 'other');
  assert.equal(fs.readFileSync(received.fd, 'utf8'), 'what is in the file');
  received.close();
  // It is not closed here: nobody but its owner does that.
  assert.equal((await file.stat()).size, 19);
  const [here, there] = Pipe.pair({ ipc: true });
  there.resume();
  const came = once(there, 'handle');
  here.writeHandle('x', file);
  await came;
  const fd = there.acceptFd();
  assert.equal(fs.fstatSync(fd).ino, (await file.stat()).ino);
  fs.closeSync(fd);
  await file.close();
  const { a, done } = await open();
  await assert.rejects(a.send('x', { handles: [file] }), { code: 'EBADF', syscall: 'send', message: /the file is closed/ });
  await done();
  assert.throws(() => here.writeHandle('x', file, () => {}), { code: 'EBADF' });
  await close(here, there);
}));

test('a received handle is passed on, over a channel and over a pipe', isolated(async ({ folder }) => {
  const fd = lettered(folder, 'the letter');
  const first = await passOne(fd);
  fs.closeSync(fd);
  const second = await passOne(first);
  assert.equal(first.closed, false);
  first.close();
  const [here, there] = Pipe.pair({ ipc: true });
  const came = once(there.resume(), 'handle');
  const written = new Promise((resolve) => { here.writeHandle('h', second, resolve); });
  await came;
  assert.equal(await written, null);
  second.close();
  const last = there.acceptFd();
  assert.equal(fs.readFileSync(last, 'utf8'), 'the letter');
  fs.closeSync(last);
  assert.throws(() => here.writeHandle('h', first), { code: 'ERR_FERRULE_CLOSED', syscall: 'writeHandle' });
  await close(here, there);
}));

test('a mixture in one message, and the same one twice', isolated(async ({ folder }) => {
  const { a, b, done } = await open();
  const udp = new UDP().bind(HOST, 0);
  const [pipe, other] = Pipe.pair();
  const fd = lettered(folder, 'mixed');
  a.send('mixture', { handles: [fd, udp, pipe, fd, 0] });
  fs.closeSync(fd);
  const { handles } = await b.recvMessage();
  assert.deepEqual(handles.map(({ kind }) => kind).slice(0, 4), ['other', 'udp', 'pipe', 'other']);
  assert.notEqual(handles[0].fd, handles[3].fd);
  assert.deepEqual([letterOf(handles[0]), letterOf(handles[3])], ['mixed', 'mixed']);
  for (const handle of handles) handle.close();
  await close(udp, pipe, other);
  await done();
}));

test('the descriptor is taken out, or closed, once', isolated(async ({ folder }) => {
  const received = await Promise.all([1, 2, 3].map(async (i) => {
    const fd = lettered(folder, `letter ${i}`);
    const handle = await passOne(fd);
    fs.closeSync(fd);
    return handle;
  }));
  const [taken, closed, disposed] = received;
  const fd = taken.detach();
  assert.equal(fs.readFileSync(fd, 'utf8'), 'letter 1');
  fs.closeSync(fd);
  closed.close();
  disposed[Symbol.dispose ?? Symbol.for('nodejs.dispose')]();
  for (const handle of received) {
    handle.close();
    assert.equal(handle.fd, -1);
    assert.equal(handle.closed, true);
    assert.equal(handle.kind, 'other');
    assert.throws(() => handle.detach(), { code: 'ERR_FERRULE_CLOSED', syscall: 'detach' });
  }
}));

test('what a received handle cannot become leaves it as it is', isolated(async ({ folder }) => {
  const fd = lettered(folder, 'just a file');
  const file = await passOne(fd);
  fs.closeSync(fd);
  for (const method of ['open', 'toSocket', 'toServer', 'toDgram']) assert.throws(() => file[method](), { code: 'ERR_FERRULE_KIND' });
  assert.equal(letterOf(file), 'just a file');

  const listener = new TCP().bind(HOST, 0).listen();
  const listening = await passOne(listener);
  await close(listener);
  assert.throws(() => listening.toSocket(), { code: 'ENOTCONN', syscall: 'toSocket' });
  assert.throws(() => listening.toDgram(), { code: 'ERR_FERRULE_KIND', syscall: 'toDgram' });
  assert.throws(() => listening.toServer(7), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => listening.open(null), { code: 'ERR_INVALID_ARG_TYPE' });
  const [one, other] = Pipe.pair();
  const connected = await passOne(one);
  await close(one);
  assert.throws(() => connected.toServer(), { code: 'EISCONN', syscall: 'toServer' });
  assert.throws(() => connected.toSocket(7), { code: 'ERR_INVALID_ARG_TYPE' });
  const socket = connected.toSocket();
  const over = event(socket.resume(), 'close');
  socket.end('still whole');
  assert.equal(await text(other), 'still whole');
  await over;
  const server = listening.toServer();
  await event(server, 'listening');
  await close(server);
  for (const handle of [listening, connected]) {
    for (const method of ['open', 'toSocket', 'toServer', 'detach']) assert.throws(() => handle[method](), { code: 'ERR_FERRULE_CLOSED' });
  }
}));

test('trySend() with handles', isolated(async ({ folder }) => {
  const { a, b, done } = await open(1, { highWater: 1000 });
  const fd = lettered(folder, 'tried');
  assert.equal(a.trySend('one', { handles: [fd] }), true);
  a.send(Buffer.alloc(5_000_000));
  assert.equal(a.trySend('two', { handles: [fd] }), false);
  assert.equal((await b.recv()).handles.map(letterOf)[0], 'tried');
  const drained = event(a, 'drain');
  assert.equal((await b.recv()).length, 5_000_000);
  await drained;
  assert.equal(a.trySend('three', { handles: [fd] }), true);
  fs.closeSync(fd);
  const { data, handles } = await b.recvMessage();
  assert.deepEqual([String(data), handles.map(letterOf)], ['three', ['tried']]);
  await done();
  assert.throws(() => a.trySend('four'), { code: 'ERR_FERRULE_CLOSED' });
}));
