'use strict';

/** The memory of messages: small ones share it, without keeping much that nobody holds. */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { abortAll, ferrule, isolated, run } = require('./helpers.js');

/** What small messages share at most. */
const SHARED = 16 * 1024;

/** The bytes of all memory that the messages keep. */
function kept(messages) {
  let bytes = 0;
  for (const buffer of new Set(messages.map((message) => message.buffer))) bytes += buffer.byteLength;
  return bytes;
}

/** Send messages so that reads bring many of them, and take all. */
async function exchange(client, peer, messages) {
  const sending = client.sendMany(messages);
  const received = [];
  while (received.length < messages.length) received.push(await peer.receive());
  await sending;
  assert.ok(Buffer.concat(received).equals(Buffer.concat(messages)));
  assert.deepEqual(received.map((message) => message.length), messages.map((message) => message.length));
  return received;
}

/** Messages with bytes that differ. */
function make(count, size) {
  return Array.from({ length: count }, (_, i) => Buffer.alloc(typeof size === 'number' ? size : size(i), i + 1));
}

test('messages keep no more than twice what they are, when all are held', isolated(async () => {
  for (const inline of [false, true]) {
    const [client, peer] = await ferrule.pair({ inline });
    for (const size of [1, 64, 1000, 5000, 8191, 8192, 20_000, 300_000, (i) => (i * 997) % 12_000]) {
      const messages = make(size === 300_000 ? 20 : 1000, size);
      const bytes = messages.reduce((sum, message) => sum + message.length, 0);
      const received = await exchange(client, peer, messages);
      assert.ok(kept(received) <= 2 * bytes, `${inline}, ${size}: ${kept(received)} for ${bytes}`);
    }
    await abortAll(client, peer);
  }
}));

test('one message that is kept keeps little beside itself', isolated(async () => {
  const [client, peer] = await ferrule.pair();
  let shared = 0;
  for (const size of [0, 1, 64, 1000, 5000, 8191, 8192, 100_000, (i) => [10, 70_000, 0, 300][i % 4]]) {
    const received = await exchange(client, peer, make(500, size));
    for (const message of received) {
      const { byteLength } = message.buffer;
      assert.ok(byteLength <= Math.max(SHARED, message.length), `${size}: ${byteLength}`);
      if (message.length > 0 && byteLength > message.length) shared += 1;
      if (message.length >= SHARED / 2) assert.equal(byteLength, message.length);
      if (message.length === 0) assert.equal(byteLength, 0);
    }
  }
  assert.ok(shared > 1000, 'small ones share memory');
  await abortAll(client, peer);
}));

test('what the collector leaves of messages that are kept', isolated(async () => {
  const { code, signal, stdout, stderr } = await run('slabs.js', [], { execArgv: ['--expose-gc'] });
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  const { all, some, none } = JSON.parse(stdout);
  // Beside the messages, a few pages that Node and the channel keep.
  const rest = 100_000;
  assert.ok(all.bytes > 10e6 && all.grown >= all.bytes && all.grown <= 2 * all.bytes + rest, stdout);
  assert.ok(some.kept >= 100 && some.grown >= some.bytes && some.grown <= some.kept * SHARED + rest, stdout);
  assert.ok(none.grown <= rest, stdout);
}));
