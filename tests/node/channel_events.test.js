'use strict';

/** Channels among what Node has for events: once() and on(), rejections, contexts, diagnostics; and many messages at once. */

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const diagnostics = require('node:diagnostics_channel');
const EventEmitter = require('node:events');
const net = require('node:net');
const { test } = require('node:test');
const { abortAll, closed, event, ferrule, isolated, pair, turn, ways } = require('./helpers.js');

for (const way of ['pipe', 'fifo', 'tcp', 'pair']) {
  test(`sendMany, over ${way}: in order, whole, and done when the kernel has all`, isolated(async ({ folder }) => {
    const { client, peer, done } = await ways[way](folder, { highWater: 100_000 });
    const sizes = Array.from({ length: 2000 }, (_, i) => (i * 7919) % (i % 100 === 0 ? 2_000_000 : 300));
    const messages = sizes.map((size, i) => Buffer.alloc(size, i));
    const all = client.sendMany(messages);
    let over = false;
    all.then(() => { over = true; });
    await turn(2);
    assert.equal(over, false, 'it waits for room');
    assert.equal(client.writable, false);
    for (const message of messages) assert.ok(message.equals(await peer.receive()));
    assert.equal(await all, undefined);
    assert.equal(client.info.queued, 0);
    assert.equal(client.stats().messagesOut, messages.length);
    await done();
  }));
}

test('sendMany takes what send() takes, from any iterable', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  function* words() {
    yield 'text';
    yield Buffer.from('buffer');
    yield new DataView(new TextEncoder().encode('view').buffer);
    yield ['in ', Buffer.from('pieces')];
    yield '';
    yield 'ü'.repeat(50_000);
  }
  await client.sendMany(words());
  await client.sendMany(new Set(['set']));
  await client.sendMany([]);
  for (const expected of ['text', 'buffer', 'view', 'in pieces', '', 'ü'.repeat(50_000), 'set']) {
    assert.equal(String(await peer.receive()), expected);
  }
  await done();
}));

test('sendMany: bad input, and nothing of it is sent', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  for (const wrong of [undefined, null, 5, {}, 'text', Buffer.from('x'), new Uint8Array(3), ['x', 5], [null], [{}], [[5]]]) {
    await assert.rejects(client.sendMany(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  }
  await assert.rejects(client.sendMany(['x'], 5), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(client.sendMany(['x'], { signal: 'x' }), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(client.sendMany(['x'], { signal: AbortSignal.abort() }), { code: 'ABORT_ERR' });
  await assert.rejects(ferrule.Channel.prototype.sendMany.call({}, ['x']), TypeError);
  client.send('the first');
  assert.equal(String(await peer.receive()), 'the first');
  await done();
}));

test('sendMany: how many were sent before it failed', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, { maxMessage: 1000, highWater: 1000 });
  const sending = client.sendMany(['one', 'two', Buffer.alloc(1001), 'three']);
  await assert.rejects(sending, { code: 'EMSGSIZE', accepted: 2 });
  assert.equal(String(await peer.receive()), 'one');
  assert.equal(String(await peer.receive()), 'two');

  // Bytes whose memory was given away while they waited for room.
  const given = Buffer.from(new Uint8Array([1]).buffer);
  const big = Array.from({ length: 20_000 }, () => Buffer.alloc(500));
  const waiting = client.sendMany([...big, given]);
  const failed = assert.rejects(waiting, { code: 'ERR_INVALID_ARG_TYPE', accepted: big.length });
  structuredClone(given.buffer, { transfer: [given.buffer] });
  for (const message of big) assert.equal((await peer.receive()).length, message.length);
  await failed;
  client.send('goes on');
  assert.equal(String(await peer.receive()), 'goes on');
  await done();
}));

test('sendMany: several that are lost together are each told how many they sent', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  client.cork();
  const failed = [['x', 'y'], ['x'], ['x', 'y', 'z']].map((list) => (
    assert.rejects(client.sendMany(list), { code: 'ECANCELED', accepted: list.length })
  ));
  client.abort();
  await Promise.all(failed);
  assert.equal(client.unsent, 6 * 9);
  await assert.rejects(peer.receive(), { code: 'ECONNRESET' });
  await done();
}));

test('who waits for room is told of it, whoever sends meanwhile', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, { highWater: 1000 });
  let waits = true;
  const drained = event(client, 'drain').then(() => { waits = false; });
  // The kernel has it when there is room already, and 'drain' has not come.
  const sent = client.send(Buffer.alloc(20_000_000)).then(() => client.trySend('x'));
  assert.equal((await peer.receive()).length, 20_000_000);
  assert.equal(await sent, true);
  await drained;
  assert.equal(waits, false);
  await done();
}));

test('sendMany: aborted, closed, and the peer gone, while it waits', isolated(async ({ address }) => {
  const ends = {
    abort: { go: ({ controller }) => controller.abort(), code: 'ABORT_ERR' },
    close: { go: ({ client }) => client.abort(), code: 'ECANCELED' },
    peer: { go: ({ peer }) => peer.abort(), code: /^(ECONNRESET|EPIPE)$/ },
  };
  for (const [name, { go, code }] of Object.entries(ends)) {
    const { client, peer, server } = await pair(address, { highWater: 10_000 });
    client.on('error', () => {}).resume();
    const controller = new AbortController();
    const messages = Array.from({ length: 1000 }, () => Buffer.alloc(10_000));
    const sending = client.sendMany(messages, { signal: controller.signal });
    await turn();
    go({ controller, client, peer });
    const error = await sending.then(() => assert.fail(name), (reason) => reason);
    assert.match(error.code, new RegExp(code), name);
    assert.ok(error.accepted > 0 && error.accepted < messages.length, name);
    assert.equal(client.listenerCount('drain'), 0);
    await abortAll(client, peer);
    await server.close();
  }
}));

test('events.once and events.on', isolated(async ({ address }) => {
  const { client, peer, server } = await pair(address, { maxHandles: 1 });
  client.send('one');
  const [message, handles] = await EventEmitter.once(peer, 'message');
  assert.equal(String(message), 'one');
  assert.deepEqual([...handles], []);
  for (const word of ['two', 'three', 'four']) client.send(word);
  const words = [];
  for await (const [word] of EventEmitter.on(peer, 'message')) {
    words.push(String(word));
    if (words.length === 3) break;
  }
  assert.deepEqual(words, ['two', 'three', 'four']);
  await assert.rejects(EventEmitter.once(peer, 'message', { signal: AbortSignal.abort() }), { code: 'ABORT_ERR' });
  // An error of the channel ends both.
  const waiting = EventEmitter.once(peer, 'message');
  client.abort();
  await assert.rejects(waiting, { code: 'ECONNRESET' });
  await Promise.all([closed(client), closed(peer), server.close()]);
}));

test('every way of listening starts to receive', isolated(async ({ address }) => {
  for (const how of ['on', 'once', 'addListener', 'prependListener', 'prependOnceListener']) {
    const { client, peer, done } = await pair(address);
    client.send('hello');
    const [message] = await new Promise((resolve) => { peer[how]('message', (...args) => resolve(args)); });
    assert.equal(String(message), 'hello', how);
    await done();
  }
}));

test('captureRejections', isolated(async ({ address }) => {
  const options = { captureRejections: true };
  const { client, peer, server } = await pair(address, options);
  const failed = event(peer, 'error');
  const over = event(peer, 'close');
  peer.on('message', async (message) => { throw new Error(`no ${message}`); });
  client.on('error', () => {}).resume();
  client.send('thanks');
  assert.equal((await failed).message, 'no thanks');
  await over;
  // The peer sees a side that went away, not one that said goodbye.
  await closed(client);

  // Of the server's own events, too.
  server.on('close', async () => { throw new Error('rejected at the close'); });
  const refused = event(server, 'error');
  await server.close();
  assert.equal((await refused).message, 'rejected at the close');
  await assert.rejects(ferrule.connect(address, { captureRejections: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
}));

test('AsyncLocalStorage: what a channel calls back is called where it was made', isolated(async ({ address }) => {
  const storage = new AsyncLocalStorage();
  const seen = {};
  const { client, peer, server } = await storage.run('made', () => pair(address, { highWater: 1000 }));
  storage.run('elsewhere', () => {
    peer.on('message', () => { seen.message = storage.getStore(); });
    peer.on('end', () => { seen.end = storage.getStore(); });
    peer.on('close', () => { seen.close = storage.getStore(); });
    client.on('drain', () => { seen.drain = storage.getStore(); });
  });
  await storage.run('sending', async () => {
    await client.send(Buffer.alloc(20_000_000)).then(() => { seen.sent = storage.getStore(); });
    seen.afterwards = storage.getStore();
    await client.sendMany(['x', 'y']);
    seen.many = storage.getStore();
  });
  await storage.run('receiving', async () => {
    peer.send('x');
    peer.send('y');
    await client.receive();
    seen.received = storage.getStore();
    for await (const message of client) {
      seen.iterated = [String(message), storage.getStore()];
      break;
    }
  });
  const over = event(peer, 'close');
  await client.close();
  await over;
  await server.close();
  assert.deepEqual(seen, {
    message: 'made', end: 'made', close: 'made', drain: 'made',
    sent: 'sending', afterwards: 'sending', many: 'sending', received: 'receiving', iterated: ['y', 'receiving'],
  });
}));

test('diagnostics_channel: what happens, without what was said', isolated(async ({ address, path }) => {
  const names = ['channel:open', 'channel:close', 'channel:send', 'channel:receive', 'server:listen', 'server:close', 'server:clientError'];
  const events = [];
  const listeners = names.map((name) => {
    const listener = (about) => events.push([name, about]);
    diagnostics.subscribe(`ferrule:${name}`, listener);
    return () => diagnostics.unsubscribe(`ferrule:${name}`, listener);
  });
  const { client, peer, server } = await pair(address, { maxHandles: 1 });
  client.cork();
  client.send('secret one');
  client.send(['secret ', 'two'], { handles: [0] });
  const many = client.sendMany(['secret three', 'ü']);
  client.uncork();
  await many;
  for (let i = 0; i < 4; i += 1) for (const handle of (await peer.receive()).handles) handle.close();
  await client.close();
  await closed(peer);
  const refused = event(server, 'clientError');
  const stranger = net.connect(path, () => stranger.write('no hello at all'));
  stranger.on('error', () => {}).resume();
  await Promise.all([refused, event(stranger, 'close')]);
  await server.close();
  await turn(2);
  for (const stop of listeners) stop();

  const of = (name) => events.filter(([which]) => which === name).map(([, about]) => about);
  assert.deepEqual(of('server:listen'), [{ server, address }]);
  assert.deepEqual(of('server:close'), [{ server }]);
  assert.deepEqual(of('server:clientError').map(({ error }) => error.code), ['EPROTO']);
  const opened = of('channel:open').filter(({ channel }) => channel === client || channel === peer);
  assert.deepEqual(opened.map((about) => about.address).sort(), [address, undefined]);
  assert.deepEqual(of('channel:send').map(({ messages, bytes, handles }) => [messages, bytes, handles]), [[1, 10, 0], [1, 10, 1], [1, 12, 0], [1, 2, 0]]);
  const received = of('channel:receive');
  const total = (what) => received.reduce((sum, about) => sum + about[what], 0);
  assert.deepEqual([total('messages'), total('bytes'), total('handles')], [4, 34, 1]);
  const ends = of('channel:close').filter(({ channel }) => channel === client || channel === peer);
  assert.deepEqual(ends.map(({ error }) => error), [null, null]);
  // Nobody finds a payload in it.
  for (const [, about] of events) {
    for (const value of Object.values(about)) assert.ok(!ArrayBuffer.isView(value) && !String(value).includes('secret'));
  }
  events.length = 0;
  const [a, b] = await ferrule.pair();
  a.send('unseen');
  await b.receive();
  await abortAll(a, b);
  assert.deepEqual(events, []);
}));
