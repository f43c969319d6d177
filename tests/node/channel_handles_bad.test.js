'use strict';

/** Handles with messages: what is refused, floods, what nobody takes, and the end in the middle of it all. */

const assert = require('node:assert/strict');
const dgram = require('node:dgram');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { abortAll, closed, descriptors, event, ferrule, isolated, listenQueue, pair, run, turn, ways } = require('./helpers.js');

const { Pipe, ReceivedHandle, TCP, UDP } = ferrule;
const HOST = '127.0.0.1';
const MOST = 64;

const HELLO = Buffer.from('010000000000001c46455252554c450a0001000100000000000000000400000000000040', 'hex');

/** A frame of the native wire. */
function frame(kind, payload = '', handles = 0) {
  const header = Buffer.alloc(8);
  header[0] = kind;
  header[1] = handles;
  header.writeUInt32BE(Buffer.byteLength(payload), 4);
  return Buffer.concat([header, Buffer.from(payload)]);
}

const handleFrame = frame(3, '\x01');

function count() {
  return descriptors().size;
}

async function open(maxHandles = MOST, options = {}) {
  const [a, b] = await ferrule.pair({ maxHandles, ...options });
  return { a, b, done: () => abortAll(a, b) };
}

/** Raw bytes with descriptors to a channel with options. */
async function attack(address, options, write) {
  const { server, next } = await listenQueue(address, options);
  const raw = new Pipe({ ipc: true });
  raw.on('error', () => {});
  const gone = event(raw, 'close');
  await raw.connect(address.slice('pipe:'.length));
  raw.resume();
  raw.write(HELLO);
  const channel = await next();
  write(raw);
  const seen = { messages: [], handles: 0, error: null };
  const over = event(channel, 'close');
  channel.on('error', (error) => { seen.error = error; });
  channel.on('message', (message, handles) => {
    seen.messages.push(String(message));
    seen.handles += handles.length;
    for (const handle of handles) handle.close();
  });
  await over;
  raw.destroy();
  await Promise.all([gone, server.close()]);
  return seen;
}

test('what is refused before anything is sent, and the message after it', isolated(async ({ folder }) => {
  for (const [name, way] of Object.entries(ways)) {
    for (const wire of ['native', 'plain']) {
      const { client, peer, done } = await way(folder, { wire });
      // Nobody there takes any.
      await assert.rejects(client.send('x', { handles: [0] }), { code: 'ENOTSUP', status: 'FER_ENOTSUP', syscall: 'send' }, name);
      assert.throws(() => client.trySend('x', { handles: [0] }), { code: 'ENOTSUP' });
      client.send('as if it had not been tried', { handles: [] });
      assert.equal(String(await peer.receive()), 'as if it had not been tried');
      await done();
    }
  }
  const { a, b, done } = await open(2);
  assert.equal(a.info.peerMaxHandles, 2);
  assert.equal(a.info.maxHandles, 2);
  await assert.rejects(a.send('x', { handles: [0, 0, 0] }), { code: 'ENOTSUP' });
  await assert.rejects(a.send('x', { handles: Array(65).fill(0) }), { code: 'EINVAL', status: 'FER_EINVAL' });
  a.send('two', { handles: [0, 0] });
  const { handles } = await b.recvMessage();
  assert.equal(handles.length, 2);
  for (const handle of handles) handle.close();
  await done();
}));

test('what cannot be passed', isolated(async () => {
  const { a, b, done } = await open();
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const wrong of [undefined, null, {}, 'udp', Symbol('x'), Buffer.from('x'), a, true]) {
    await assert.rejects(a.send('x', { handles: [0, wrong] }), type);
  }
  for (const wrong of [null, 7, 'x', {}, new Set()]) await assert.rejects(a.send('x', { handles: wrong }), type);
  for (const wrong of [-1, 1.5, NaN]) await assert.rejects(a.send('x', { handles: [wrong] }), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(a.send('x', { handles: [0], keepOpen: 1 }), type);
  await assert.rejects(a.send(7, { handles: [0] }), type);
  for (const shut of [1 << 20, new TCP(), new net.Socket(), net.createServer()]) {
    await assert.rejects(a.send('x', { handles: [shut] }), { code: 'EBADF', syscall: 'send' });
  }
  const unbound = dgram.createSocket('udp4');
  await assert.rejects(a.send('x', { handles: [unbound] }), { code: 'EBADF' });
  unbound.close();
  const gone = new UDP().bind(HOST, 0);
  const over = event(gone, 'close');
  gone.close();
  await over;
  await assert.rejects(a.send('x', { handles: [gone] }), { code: 'ERR_FERRULE_CLOSED', syscall: 'send' });
  assert.throws(() => new ReceivedHandle(), { name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  // Nothing of all this went out.
  a.send('whole');
  const { data, handles } = await b.recvMessage();
  assert.deepEqual([String(data), handles], ['whole', []]);
  await done();
}));

test("Node's own objects stay what they are when the message is refused, or lost", isolated(async () => {
  const server = net.createServer().listen(0, HOST);
  await event(server, 'listening');
  const accepted = event(server, 'connection');
  const client = net.connect(server.address().port, HOST);
  const connection = await accepted;
  const data = () => event(connection, 'data');
  connection.resume();

  const refusing = await open(0);
  await assert.rejects(refusing.a.send('x', { handles: [connection] }), { code: 'ENOTSUP' });
  await refusing.done();
  const taking = await open(1);
  await assert.rejects(taking.a.send('x', { handles: [connection, {}] }), { code: 'ERR_INVALID_ARG_TYPE' });
  let came = data();
  client.write('still read');
  assert.equal(String(await came), 'still read');

  // Accepted, and never taken by the kernel: it reads on here.
  const told = [taking.a.send(Buffer.alloc(20_000_000)), taking.a.send('behind it', { handles: [connection] })];
  await turn(2);
  taking.a.abort();
  for (const lost of told) await assert.rejects(lost, { code: 'ECANCELED' });
  came = data();
  client.write('and again');
  assert.equal(String(await came), 'and again');
  assert.equal(connection.destroyed, false);
  await taking.done();
  const ends = [client, connection].map((socket) => event(socket, 'close'));
  client.destroy();
  await Promise.all(ends);
  server.close();
  await event(server, 'close');
}));

test('descriptors and HANDLE frames that do not fit each other', isolated(async ({ address }) => {
  const message = frame(2, 'whole');
  const laden = frame(2, 'laden', 1);
  const cases = {
    'a HANDLE frame without a descriptor': (raw) => raw.write(Buffer.concat([message, handleFrame, laden])),
    'a descriptor without a HANDLE frame': (raw) => raw.write(message) && raw.writeHandle(frame(2, 'astray'), 0),
    'fewer than counted': (raw) => raw.write(message) && raw.writeHandle(handleFrame, 0) && raw.write(frame(2, 'two', 2)),
    'more than counted': (raw) => {
      raw.write(message);
      for (let i = 0; i < 2; i += 1) raw.writeHandle(handleFrame, 0);
      raw.write(laden);
    },
    'not counted at all': (raw) => raw.write(message) && raw.writeHandle(handleFrame, 0) && raw.write(frame(2, 'none')),
    'more than the cap': (raw) => {
      raw.write(message);
      for (let i = 0; i < 5; i += 1) raw.writeHandle(handleFrame, 0);
      raw.write(frame(2, 'five', 5));
    },
    'a descriptor on the goodbye': (raw) => raw.write(message) && raw.writeHandle(frame(4), 0) && raw.write(message),
  };
  for (const [what, write] of Object.entries(cases)) {
    const seen = await attack(address, { maxHandles: 4 }, write);
    assert.deepEqual(seen.messages.slice(0, 1), ['whole'], what);
    assert.ok(!seen.messages.includes('laden') && seen.handles === 0, what);
    if (what !== 'a descriptor on the goodbye') assert.equal(seen.error?.status, 'FER_EPROTO', what);
  }
  // And as it should be.
  const seen = await attack(address, { maxHandles: 4 }, (raw) => {
    raw.writeHandle(handleFrame, 0);
    raw.write(Buffer.concat([laden, frame(4)]));
  });
  assert.deepEqual([seen.messages, seen.handles, seen.error], [['laden'], 1, null]);
}));

test('a hundred thousand handles that nobody asked for', isolated(async ({ address }) => {
  const rounds = 1000;
  const each = 100;
  const before = count();
  const bytes = Buffer.concat([handleFrame, frame(2, 'x', 1)]);
  for (let round = 0; round < rounds; round += 1) {
    const seen = await attack(address, round % 2 === 0 ? {} : { wire: 'native', maxMessage: 10 }, (raw) => {
      for (let i = 0; i < each; i += 1) raw.writeHandle(bytes, 0);
    });
    assert.equal(seen.error?.status, 'FER_EPROTO');
    assert.deepEqual(seen.messages, []);
  }
  await turn();
  assert.equal(count(), before);
}));

test('a hundred thousand handles that are taken and closed', isolated(async () => {
  const { a, b, done } = await open(1);
  const before = count();
  let most = 0;
  let got = 0;
  const total = 100_000;
  const all = new Promise((resolve) => {
    b.on('message', (message, [handle]) => {
      handle.close();
      got += 1;
      if (got % 1000 === 0) most = Math.max(most, count());
      if (got === total) resolve();
    });
  });
  for (let sent = 0; sent < total; sent += 1) {
    a.send('x', { handles: [0] });
    // What the kernel does not take waits here, as a descriptor.
    while (sent - got > 200) await turn();
  }
  await all;
  await turn();
  assert.equal(count(), before);
  assert.ok(most < before + 500, `${most} at once`);
  await done();
}));

test('what waits for a slow reader is bounded, and goes with the channel', isolated(async () => {
  for (const how of ['close', 'abort', 'take']) {
    const { a, b } = await open(MOST, { closeTimeout: 1000 });
    const before = count();
    b.on('message', () => {}).pause();
    // The kernel allows only so many on their way; what it does not take waits here, as descriptors of the sender.
    const rounds = 8;
    for (let i = 0; i < rounds; i += 1) a.send('x', { handles: Array(MOST).fill(0) });
    await turn(20);
    assert.ok(count() < before + rounds * MOST, 'none of them is here');
    if (how === 'close') {
      const closing = b.close().catch(() => {});
      a.on('error', () => {}).resume();
      await closing;
    } else if (how === 'abort') {
      b.abort();
    } else {
      let got = 0;
      b.removeAllListeners('message').on('message', (message, handles) => {
        got += handles.length;
        for (const handle of handles) handle.close();
      });
      b.resume();
      while (got < rounds * MOST) await turn();
      assert.equal(count(), before);
    }
    await abortAll(a, b);
    await turn();
    assert.equal(count(), before - 2, how);
  }
}));

test('a reader that takes none is held back after a few', isolated(async () => {
  const { a, b, done } = await open(MOST);
  // The first is taken, so it receives; then nobody takes.
  const first = b.recvMessage();
  a.send('x', { handles: [0] });
  for (const handle of (await first).handles) handle.close();
  const before = count();
  const sends = 700;
  for (let sent = 0; sent < sends; sent += 1) {
    await a.send('x', { handles: [0] });
  }
  await turn(20);
  // Some are in the inbox; the others are the kernel's.
  const waits = count() - before;
  assert.ok(waits >= 64 && waits <= 200, `${waits} descriptors wait in the inbox`);
  for (let got = 0; got < sends; got += 1) for (const handle of (await b.recvMessage()).handles) handle.close();
  assert.equal(count(), before);
  await done();
}));

test('close() and abort() with handles in the inbox close them at once', isolated(async ({ address }) => {
  for (const how of ['close', 'abort', 'the peer dies']) {
    const { client, peer, done } = await pair(address, { maxHandles: 4 });
    client.send('taken', { handles: [0] });
    client.send('waits', { handles: [0, 0, 0] });
    client.send('waits too', { handles: [0] });
    const { handles: [kept] } = await peer.recvMessage();
    await turn(2);
    const before = count();
    if (how === 'close') {
      client.resume();
      await peer.close();
    } else if (how === 'abort') {
      peer.abort();
    } else {
      client.abort();
      await turn(2);
      // What came whole is still there to be taken.
      const { handles } = await peer.recvMessage();
      assert.equal(handles.length, 3);
      for (const handle of handles) handle.close();
      peer.abort();
    }
    await done();
    await turn();
    // Four that waited, and one more of the pair at least.
    assert.ok(count() <= before - 4, `${how}: ${before} and now ${count()}`);
    assert.equal(kept.closed, false);
    kept.close();
  }
}));

test('a receive that is given up takes no handles', isolated(async () => {
  const { a, b, done } = await open(1);
  const controller = new AbortController();
  const given = b.recvMessage({ signal: controller.signal });
  controller.abort();
  await assert.rejects(given, { name: 'AbortError' });
  await assert.rejects(b.recvMessage({ timeout: 1 }), { code: 'ETIMEDOUT' });
  a.send('kept', { handles: [0] });
  const { data, handles } = await b.recvMessage();
  assert.deepEqual([String(data), handles.length], ['kept', 1]);
  handles[0].close();
  await done();
}));

test('no descriptors left for what comes', isolated(async () => {
  for (const room of [0, 2]) {
    const { code, stdout, stderr } = await run('nofile_channel.js', [String(room)]);
    assert.equal(stderr, '');
    assert.equal(stdout, 'EMFILE FER_EMFILE receive\n0 more than before\n');
    assert.equal(code, 0);
  }
}));

test('a worker that is terminated with handles everywhere leaves none', isolated(async () => {
  const { code, stdout, stderr } = await run('channel_handles_worker.js');
  assert.equal(stderr, '');
  assert.equal(stdout, 'terminated, 0 left open\nexited, 0 left open\n');
  assert.equal(code, 0);
}));

test('the end of a process with handles in an inbox', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address, { maxHandles: 1 });
  const client = await ferrule.connect(address, { maxHandles: 1 });
  const peer = await next();
  const [one, other] = Pipe.pair();
  client.send('x', { handles: [one] });
  one.destroy();
  await turn(3);
  // The peer never asks for it: it is the kernel's, and then nobody's.
  const end = event(other.resume(), 'end');
  peer.abort();
  await end;
  other.destroy();
  client.abort();
  await Promise.all([closed(client), closed(peer), server.close()]);
}));
