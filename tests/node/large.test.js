'use strict';

/** Large messages: they are received into the Buffers that a program gets. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { MessageChannel, Worker, receiveMessageOnPort } = require('node:worker_threads');
const { abortAll, event, ferrule, isolated, listenQueue, package_, run, ways } = require('./helpers.js');
const native = require(path.join(package_, 'lib', 'native.js'));

const KIB = 1024;
const MIB = 1024 * KIB;
/** Up to here a Buffer is of the engine's own memory. */
const MOST_OF_ENGINE = 2 * MIB;
/** Around every size at which a message takes another way, growing and shrinking. */
const SIZES = [
  32 * KIB - 1, 32 * KIB, 32 * KIB + 1, 64 * KIB, 64 * KIB + 1, 256 * KIB, 300_000, MIB, MOST_OF_ENGINE - 1,
  MOST_OF_ENGINE, MOST_OF_ENGINE + 1, 5 * MIB, 3 * MIB, MIB + 7, 100_000, 64 * KIB, 40_000, 32 * KIB, 10, 0, 6 * MIB, 1,
];

/** Bytes that differ from those of other messages, and from each other. */
function make(size, number) {
  const block = Buffer.from(Array.from({ length: 251 }, (_, i) => (i + number) % 256));
  return Buffer.alloc(size, block);
}

/** Messages in one burst, and those that come; they must be the same. */
async function exchange(client, peer, messages) {
  const sending = client.sendMany(messages);
  const received = [];
  while (received.length < messages.length) received.push(await peer.receive());
  await sending;
  for (const [i, message] of received.entries()) {
    assert.ok(Buffer.isBuffer(message) && message.equals(messages[i]), `message ${i} of ${messages[i].length} bytes`);
    if (message.length >= 32 * KIB) assert.equal(message.buffer.byteLength, message.length);
  }
  return received;
}

/** Whether a runtime that has external Buffers refuses them while `body` runs, as Electron does. */
async function withExternal(allowed, body) {
  native.external(allowed);
  try {
    await body();
  } finally {
    native.external(true);
  }
}

for (const external of [true, false]) {
  const how = external ? '' : ', where external Buffers are refused';
  test(`large messages of all sizes, on every way${how}`, isolated(async ({ folder }) => {
    await withExternal(external, async () => {
      const all = [['pair', {}], ['pair', { inline: true }], ['pipe', { wire: 'plain' }], ['tcp', {}], ['fifo', {}], ['fd', {}]];
      for (const [way, options] of all) {
        const { client, peer, done } = await ways[way](folder, options);
        const sizes = options.wire === 'plain' ? SIZES.filter((size) => size > 0) : SIZES;
        const messages = sizes.map(make);
        await exchange(client, peer, messages);
        await exchange(client, peer, messages.slice().reverse());
        await done();
      }
    });
  }));
}

test('large messages stay what they are when others come, and the channel goes', isolated(async () => {
  const [client, peer] = await ferrule.pair();
  const messages = [3 * MIB, MIB, 64 * KIB, 64 * KIB, 5 * MIB, 64 * KIB].map(make);
  const received = [...await exchange(client, peer, messages), ...await exchange(client, peer, messages)];
  await exchange(client, peer, Array.from({ length: 40 }, (_, i) => make(MIB, i + 100)));
  await abortAll(client, peer);
  for (const [i, message] of received.entries()) assert.ok(message.equals(messages[i % messages.length]));
  // They are a program's own.
  received[0].fill(7);
  received[1].fill(7);
  assert.ok(received[2].equals(messages[2]) && received[4].equals(messages[4]));
}));

test('a channel is closed or aborted by whoever gets one of several large messages', isolated(async () => {
  for (const end of ['close', 'abort']) {
    const [client, peer] = await ferrule.pair();
    const ends = [event(client, 'close'), event(peer, 'close')];
    let count = 0;
    peer.on('message', (message) => {
      assert.ok(message.equals(make(message.length, 1)));
      count += 1;
      if (count === 10) peer[end]();
    });
    client.on('error', () => {}).resume();
    client.sendMany(Array.from({ length: 100 }, (_, i) => make(i % 7 === 6 ? 3 * MIB : 64 * KIB, 1))).catch(() => {});
    await Promise.all(ends);
    assert.equal(count, 10);
  }
}));

test('large messages that end in the middle leave nothing', isolated(async ({ address, path: name }) => {
  const { server, next } = await listenQueue(address, { wire: 'plain' });
  const header = Buffer.alloc(4);
  header.writeUInt32BE(20 * MIB);
  const before = process.memoryUsage().rss;
  for (let round = 0; round < 60; round += 1) {
    const socket = net.connect(name);
    const peer = await next();
    const received = peer.receive();
    // The last bytes may still be on their way when the kernel has all.
    const part = make([100, 40 * KIB, 100 * KIB, 9 * MIB][round % 4], 1);
    await new Promise((resolve) => { socket.write(Buffer.concat([header, part]), resolve); });
    if (round < 30) {
      const failed = assert.rejects(received, { code: 'ECONNRESET' });
      socket.destroy();
      await failed;
    } else {
      socket.on('error', () => {});
      peer.abort();
      assert.equal(await received, null);
      socket.destroy();
    }
    await abortAll(peer);
  }
  await server.close();
  const grown = process.memoryUsage().rss - before;
  // What would be left is more than 130 MB. A sanitizer keeps for a while what was freed.
  assert.ok(grown < 80 * MIB || process.env.ASAN_OPTIONS !== undefined, `${grown} bytes`);
}));

/** What comes out at the other end of a port, and what is left here. */
function post(message) {
  const { port1, port2 } = new MessageChannel();
  try {
    port1.postMessage(message, [message.buffer]);
    return Buffer.from(receiveMessageOnPort(port2).message);
  } finally {
    port1.close();
    port2.close();
  }
}

test('large messages are cloned, and given away', isolated(async () => {
  for (const external of [true, false]) {
    await withExternal(external, async () => {
      const [client, peer] = await ferrule.pair();
      for (const size of [32 * KIB, MIB, MOST_OF_ENGINE, 3 * MIB]) {
        const sent = make(size, 3);
        const [first, second] = await exchange(client, peer, [sent, sent]);
        assert.ok(sent.equals(structuredClone(first)) && first.equals(sent), 'cloned');
        let refused = null;
        try {
          assert.ok(post(first).equals(sent), 'given away');
        } catch (error) {
          refused = error;
        }
        if (external && size > MOST_OF_ENGINE) {
          // Memory from outside stays here: newer Nodes say so, older ones clone it.
          assert.ok(refused === null || refused.name === 'DataCloneError', String(refused));
          assert.ok(first.equals(sent));
        } else {
          assert.equal(refused, null);
          assert.equal(first.length, 0);
          assert.equal(first.buffer.byteLength, 0);
        }
        assert.ok(second.equals(sent), 'the other one stays');
      }
      await abortAll(client, peer);
    });
  }
}));

/** A worker that receives large messages at `address`, posts them here and keeps them. */
async function startReceiver(address, execArgv) {
  const worker = new Worker(path.join(__dirname, 'fixtures', 'large_worker.js'), { workerData: { address }, execArgv });
  const posts = [];
  worker.on('message', (message) => posts.push(message));
  await once(worker, 'online');
  return { worker, posts };
}

test('a worker with large messages is terminated, and what it gave away stays', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address);
  const sizes = [MIB, 3 * MIB, 64 * KIB, MOST_OF_ENGINE, 5 * MIB, 32 * KIB];
  for (let round = 0; round < 4; round += 1) {
    const { worker, posts } = await startReceiver(address);
    const peer = await next();
    await peer.sendMany(sizes.map(make));
    while (posts.length < sizes.length) await once(worker, 'message');
    // In the middle of more.
    const sending = peer.sendMany(Array.from({ length: 200 }, (_, i) => make(sizes[i % sizes.length], i))).catch(() => {});
    await once(worker, 'message');
    await worker.terminate();
    peer.abort();
    await sending;
    for (const [i, size] of sizes.entries()) assert.ok(make(size, i).equals(posts[i]), `${size} bytes`);
    await abortAll(peer);
  }
  await server.close();
}));

test('a process ends with large messages in it', isolated(async () => {
  for (const how of ['exit', 'throw', 'gc', 'last']) {
    const { code, stdout, stderr } = await run('large.js', ['end', how], { execArgv: ['--expose-gc'] });
    assert.equal(stdout, 'received\n', stderr);
    assert.equal(code, { exit: 3, throw: 1, gc: 0, last: 0 }[how], stderr);
  }
}));

test('a stream of large messages that nobody keeps takes no more and no more memory', isolated(async () => {
  for (const [size, count] of [[MIB, 2000], [64 * KIB, 16_000], [3 * MIB, 500]]) {
    const { code, stdout, stderr } = await run('large.js', ['stream', size, count]);
    assert.deepEqual([code, stderr], [0, '']);
    const { bytes, grown } = JSON.parse(stdout);
    assert.ok(bytes >= 1000 * MIB && grown < 600 * MIB, stdout);
  }
}));
