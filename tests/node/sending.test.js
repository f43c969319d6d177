'use strict';

/** The promises of send(), what is gathered in one turn, and flush(). */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const { test } = require('node:test');
const { abortAll, closed, event, ferrule, isolated, pair, turn, ways } = require('./helpers.js');

const LARGE = 20_000_000;

/** How a promise stands after some turns: 'pending', 'done', or the code of its error. */
async function stateOf(promise) {
  return Promise.race([promise.then(() => 'done', (error) => error.code), turn(2).then(() => 'pending')]);
}

test('what the kernel has at once is told at once, and what is sent together has one promise', isolated(async () => {
  const [a, b] = await ferrule.pair();
  const first = a.send('one');
  const rest = ['two', Buffer.from('three'), ['fo', 'ur'], new Uint16Array(3), 'six'].map((data) => a.send(data));
  assert.equal(new Set(rest).size, 1);
  let done = false;
  first.then(() => { done = true; });
  await null;
  assert.equal(done, true, 'the first is in the kernel before the turn ends');
  assert.equal(await rest[0], undefined);
  for (const expected of ['one', 'two', 'three', 'four', '\0\0\0\0\0\0', 'six']) assert.equal(String(await b.receive()), expected);
  // The next turn has a promise of its own.
  a.send('x');
  assert.notEqual(a.send('y'), rest[0]);
  await abortAll(a, b);
}));

for (const way of ['pipe', 'fifo', 'tcp', 'pair']) {
  test(`a promise waits until the kernel has the message, over ${way}`, isolated(async ({ folder }) => {
    const { client, peer, done } = await ways[way](folder);
    const sent = [client.send('small'), client.send(Buffer.alloc(LARGE)), client.send('behind')];
    assert.deepEqual(await Promise.all(sent.map(stateOf)), ['done', 'pending', 'pending']);
    const all = client.flush();
    assert.equal(await stateOf(all), 'pending');
    for (const size of [5, LARGE, 6]) assert.equal((await peer.receive()).length, size);
    await Promise.all([...sent, all]);
    assert.equal(client.info.queued, 0);
    await done();
  }));
}

test('what is gathered keeps its order, among handles, large and empty messages, and many', isolated(async () => {
  const [a, b] = await ferrule.pair({ maxHandles: 1 });
  const kinds = [
    (i) => `text ${i}`,
    (i) => Buffer.alloc(10 + (i % 90), i),
    () => '',
    (i) => 'ü€😀'.repeat(i % 2000),
    (i) => Buffer.alloc(8192, i),
    (i) => Buffer.alloc(8193, i),
    (i) => ['parts ', Buffer.from(`${i}`)],
    (i) => Buffer.alloc(70_000 + i, i),
    () => Buffer.alloc(0),
    (i) => '\ud800 half a character'.repeat(i % 3),
  ];
  const messages = Array.from({ length: 6000 }, (_, i) => kinds[i % 97 < kinds.length ? i % 97 : i % 2](i));
  const fd = fs.openSync('/dev/null');
  let received = 0;
  const over = (async () => {
    for (const message of messages) {
      const got = await b.receive();
      const expected = Buffer.concat([message].flat().map((part) => Buffer.from(part)));
      assert.ok(expected.equals(got), `message ${received}`);
      assert.equal(got.handles.length, received % 500 === 7 ? 1 : 0);
      for (const handle of got.handles) handle.close();
      received += 1;
    }
  })();
  for (const [i, message] of messages.entries()) {
    const sent = a.send(message, i % 500 === 7 ? { handles: [fd] } : undefined);
    // Many turns with much in each.
    if (i % 1000 === 999) await sent;
  }
  await over;
  fs.closeSync(fd);
  assert.equal(a.stats().messagesOut, messages.length);
  await abortAll(a, b);
}));

test('the marks hold to the byte within one turn', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, { highWater: 1005, hardCap: 2005 });
  // Corked, nothing leaves: what waits is known. 8 bytes of header each.
  client.cork();
  let sent = 0;
  while (client.writable) {
    client.send('x'.repeat(2));
    sent += 1;
  }
  assert.equal(sent, 101);
  assert.equal(client.info.queued, 1010);
  const results = Array.from({ length: 150 }, () => client.send(Buffer.from('yy')).then(() => true, ({ code }) => code));
  assert.equal(client.trySend('z'), false);
  client.uncork();
  const told = await Promise.all(results);
  const accepted = told.filter((one) => one === true).length;
  // The last that is accepted fits below the cap without its own header.
  assert.equal(accepted, 100);
  assert.deepEqual(told.slice(accepted), Array(50).fill('EAGAIN'));
  for (let i = 0; i < sent + accepted; i += 1) assert.equal((await peer.receive()).length, 2);
  await done();
}));

test('a message over the limit is refused alone, also in the middle of a turn', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, {}, { maxMessage: 10 });
  const results = ['one', 'x'.repeat(11), 'ü'.repeat(5), Buffer.alloc(10), Buffer.alloc(11), 'ü'.repeat(6), 'last']
    .map((data) => client.send(data).then(() => 'sent', ({ code }) => code));
  assert.deepEqual(await Promise.all(results), ['sent', 'EMSGSIZE', 'sent', 'sent', 'EMSGSIZE', 'EMSGSIZE', 'sent']);
  for (const size of [3, 10, 10, 4]) assert.equal((await peer.receive()).length, size);
  await done();
}));

test('what a class says of its own length does not count', isolated(async () => {
  class Odd extends Uint8Array {
    get byteLength() { return 5000; }
    get length() { return 5000; }
    set() { throw new Error('not for others'); }
  }
  const [a, b] = await ferrule.pair();
  a.send('first');
  a.send(new Odd([1, 2, 3]));
  assert.equal(String(await b.receive()), 'first');
  assert.deepEqual([...await b.receive()], [1, 2, 3]);
  // What is sent is what it was then.
  const memory = Buffer.from('before');
  a.send('first');
  a.send(memory);
  memory.fill('x');
  assert.equal(String(await b.receive()), 'first');
  assert.equal(String(await b.receive()), 'before');
  await abortAll(a, b);
}));

test('cork: the promises wait; flush() and uncork() let go', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const before = client.send('before');
  const with_ = client.send('with it');
  client.cork();
  const held = [client.send('held'), client.send('too')];
  assert.deepEqual(await Promise.all([before, with_, ...held].map(stateOf)), ['done', 'done', 'pending', 'pending']);
  await client.flush();
  await Promise.all(held);
  const again = client.send('again');
  assert.equal(await stateOf(again), 'pending');
  client.uncork();
  await again;
  await client.flush();
  client.cork().send('closed');
  const last = client.send('with the close');
  peer.on('message', () => {});
  await client.close();
  await last;
  await done();
}));

test('flush(): when there is nothing, and when the channel ends', isolated(async ({ address }) => {
  for (const how of ['abort', 'close', 'peer']) {
    const { client, peer, server } = await pair(address, { closeTimeout: 50 });
    client.on('error', () => {}).resume();
    assert.equal(await client.flush(), undefined);
    const small = client.send('x');
    const lost = client.send(Buffer.alloc(LARGE));
    const flushing = client.flush();
    const gathered = client.send('y');
    const closing = how === 'close' ? client.close() : null;
    if (how === 'abort') client.abort();
    if (how === 'peer') peer.abort();
    await small;
    const code = how === 'peer' ? /^(EPIPE|ECONNRESET)$/ : 'ECANCELED';
    for (const promise of [lost, flushing, gathered]) await assert.rejects(promise, { code, syscall: 'send' }, how);
    await closing?.catch(() => {});
    assert.ok(client.unsent > 10_000_000);
    await closed(client);
    await assert.rejects(client.flush(), { code: how === 'peer' ? /^(EPIPE|ECONNRESET)$/ : 'ERR_FERRULE_CLOSED' });
    await abortAll(client, peer);
    await server.close();
  }
}));

test('who waits for each message leaves the loop to others', isolated(async () => {
  const [a, b] = await ferrule.pair();
  b.on('message', () => {});
  let over = false;
  const turns = turn(20).then(() => { over = true; });
  let sent = 0;
  while (!over) {
    await a.send('x');
    sent += 1;
    assert.ok(sent < 100_000, 'the loop never turns');
  }
  await turns;
  assert.ok(sent > 20);
  await abortAll(a, b);
}));

test('many channels gather in one turn', isolated(async ({ folder }) => {
  const all = await Promise.all(Array.from({ length: 20 }, () => ferrule.pair()));
  for (let i = 0; i < 50; i += 1) for (const [n, [a]] of all.entries()) a.send(`${n} ${i}`);
  assert.ok(folder.length > 0);
  for (const [n, [, b]] of all.entries()) {
    for (let i = 0; i < 50; i += 1) assert.equal(String(await b.receive()), `${n} ${i}`);
  }
  await abortAll(...all.flat());
}));

test('what is known of a channel knows of what was gathered', isolated(async () => {
  const [a, b] = await ferrule.pair();
  for (const word of ['one', 'two', 'three']) a.send(word);
  assert.equal(a.stats().messagesOut, 3);
  assert.equal(a.info.queued, 2 * 8 + 8);
  assert.equal(a.unsent, 2 * 8 + 8);
  const drained = event(b, 'close');
  a.close();
  for (const word of ['one', 'two', 'three']) assert.equal(String(await b.receive()), word);
  assert.equal(await b.receive(), null);
  await Promise.all([drained, closed(a)]);
}));

test('trySend() in one turn with send(), and its errors', isolated(async () => {
  const [a, b] = await ferrule.pair({ maxMessage: 100 });
  assert.equal(a.trySend('one'), true);
  const two = a.send('two');
  assert.equal(a.trySend('three'), true);
  assert.throws(() => a.trySend('x'.repeat(101)), { code: 'EMSGSIZE' });
  await two;
  for (const word of ['one', 'two', 'three']) assert.equal(String(await b.receive()), word);
  await abortAll(a, b);
}));
