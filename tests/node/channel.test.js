'use strict';

/** Channels between two ends in one process: what is sent, who gets it, and how it ends. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { test } = require('node:test');
const { closed, event, ferrule, isolated, listenQueue, pair, turn } = require('./helpers.js');

function text(message) {
  return message === null ? null : message.toString();
}

test('what can be sent arrives as bytes', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const words = new Uint16Array([1, 2, 3]);
  const many = Buffer.from(Array.from({ length: 1000 }, (_, i) => i & 255));
  const cases = [
    ['text äöü €', Buffer.from('text äöü €')],
    ['', Buffer.alloc(0)],
    ['x'.repeat(100_000), Buffer.from('x'.repeat(100_000))],
    ['€'.repeat(5461), Buffer.from('€'.repeat(5461))],
    ['€'.repeat(5462), Buffer.from('€'.repeat(5462))],
    [Buffer.from('buffer'), Buffer.from('buffer')],
    [new Uint8Array([1, 2, 3]), Buffer.from([1, 2, 3])],
    [words, Buffer.from(words.buffer)],
    [words.subarray(1, 2), Buffer.from(words.buffer, 2, 2)],
    [new DataView(words.buffer, 2, 3), Buffer.from(words.buffer, 2, 3)],
    [words.buffer, Buffer.from(words.buffer)],
    [new SharedArrayBuffer(4), Buffer.alloc(4)],
    [new SharedArrayBuffer(100_000), Buffer.alloc(100_000)],
    [['one ', Buffer.from('two '), new Uint8Array(), 'three'], Buffer.from('one two three')],
    [[], Buffer.alloc(0)],
    [Array.from(many, (byte) => Buffer.of(byte)), many],
  ];
  for (const [data, expected] of cases) {
    client.send(data);
    const message = await peer.receive();
    assert.ok(Buffer.isBuffer(message));
    assert.deepEqual(message, expected);
  }
  await done();
}));

test('sizes around every border arrive whole and in order', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const sizes = [
    0, 1, 4, 4095, 4096, 4097, 16383, 16384, 16385, 65527, 65528, 65535, 65536, 65537, 219263, 1 << 20, 5_000_000,
  ];
  const all = [...sizes, ...sizes.reverse()];
  const messages = all.map((size, i) => Buffer.alloc(size, i + 1));
  const received = [];
  const finished = (async () => {
    for await (const message of peer) {
      received.push(message);
      if (received.length === all.length) break;
    }
  })();
  for (const message of messages) await client.send(message);
  await finished;
  for (const [i, message] of messages.entries()) {
    assert.ok(message.equals(received[i]), `message ${i} of ${message.length} bytes`);
  }
  await done();
}));

test('small messages of all sizes that come together are whole, and Buffers like others', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const sizes = [...Array(700).keys(), 1000, 1024, 4095, 4096, 8191, 8192, 255, 256, 257, 0, 3];
  const messages = sizes.map((size, i) => Buffer.from(Uint8Array.from({ length: size }, (_, at) => (at * 7 + i) & 255)));
  const received = [];
  const finished = (async () => {
    for await (const message of peer) {
      received.push(message);
      if (received.length === sizes.length) break;
    }
  })();
  for (const message of messages) client.send(message);
  await finished;
  for (const [i, message] of messages.entries()) {
    assert.ok(message.equals(received[i]), `message ${i} of ${message.length} bytes`);
    assert.equal(Object.getPrototypeOf(received[i]), Buffer.prototype);
  }
  await done();
}));

test('a burst arrives in batches, nothing lost', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const count = 20_000;
  const sizes = (i) => (i % 1000 === 0 ? 20_000 : i % 7);
  let next = 0;
  const finished = new Promise((resolve) => {
    peer.on('message', (message) => {
      assert.equal(message.length, sizes(next));
      assert.ok(message.every((byte) => byte === (next & 255)));
      next += 1;
      if (next === count) resolve();
    });
  });
  for (let i = 0; i < count; i += 1) {
    client.send(Buffer.alloc(sizes(i), i & 255));
    if (!client.writable) await once(client, 'drain');
  }
  await finished;
  await done();
}));

test('no message is lost before the first listener', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  client.send('one');
  client.send('two');
  client.send('three');
  await turn(5);
  const [first] = await once(peer, 'message');
  assert.equal(text(first), 'one');
  await turn(5);
  const [second] = await once(peer, 'message');
  assert.equal(text(second), 'two');
  assert.equal(text(await peer.receive()), 'three');
  await done();
}));

test('every way to listen starts to receive', isolated(async ({ address }) => {
  for (const method of ['on', 'addListener', 'once', 'prependListener', 'prependOnceListener']) {
    const { client, peer, done } = await pair(address);
    const got = new Promise((resolve) => { peer[method]('message', resolve); });
    client.send(method);
    assert.equal(text(await got), method);
    await done();
  }
}));

test('the goodbye ends a loop, and both sides close', isolated(async ({ address }) => {
  const { client, peer, server } = await pair(address);
  const events = [];
  for (const name of ['end', 'close', 'error']) peer.on(name, () => events.push(name));
  client.send('last words');
  const closing = client.close();
  const received = [];
  for await (const message of peer) received.push(text(message));
  assert.deepEqual(received, ['last words']);
  await closing;
  await closed(peer);
  await turn();
  assert.deepEqual(events, ['end', 'close']);
  assert.equal(peer.closed, true);
  assert.equal(peer.writable, false);
  assert.equal(await peer.receive(), null);
  await server.close();
}));

test('leaving a loop leaves the channel open', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  for (const word of ['one', 'two', 'three']) client.send(word);
  for await (const message of peer) {
    assert.equal(text(message), 'one');
    break;
  }
  for await (const message of peer) {
    assert.equal(text(message), 'two');
    break;
  }
  const [message] = await once(peer, 'message');
  assert.equal(text(message), 'three');
  await done();
}));

test('receive() takes messages in order, several at once', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const takes = [peer.receive(), peer.receive(), peer.receive()];
  for (const word of ['one', 'two', 'three']) client.send(word);
  assert.deepEqual((await Promise.all(takes)).map(text), ['one', 'two', 'three']);
  await done();
}));

test('a receive that is aborted or late takes nothing', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const controller = new AbortController();
  const given = peer.receive({ signal: controller.signal });
  controller.abort(new Error('enough'));
  await assert.rejects(given, { name: 'AbortError', code: 'ABORT_ERR', cause: controller.signal.reason });
  await assert.rejects(peer.receive({ signal: controller.signal }), { name: 'AbortError' });
  await assert.rejects(peer.receive({ timeout: 1 }), { code: 'ETIMEDOUT', syscall: 'receive', status: 'FER_ETIMEDOUT' });
  client.send('kept');
  assert.equal(text(await peer.receive({ timeout: 10_000, signal: new AbortController().signal })), 'kept');
  await done();
}));

test('pause() holds messages back and resume() lets them come', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const seen = [];
  peer.on('message', (message) => {
    seen.push(text(message));
    if (seen.length === 2) peer.pause();
  });
  for (const word of ['one', 'two', 'three', 'four']) client.send(word);
  await turn(10);
  assert.deepEqual(seen, ['one', 'two']);
  assert.equal(peer.isPaused(), true);
  peer.resume();
  assert.equal(peer.isPaused(), false);
  await turn(10);
  assert.deepEqual(seen, ['one', 'two', 'three', 'four']);
  await done();
}));

test('a slow receiver makes the sender wait', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  peer.resume();
  const message = Buffer.alloc(100_000);
  let sent = 0;
  while (client.writable) {
    client.send(message);
    sent += 1;
    await turn();
    assert.ok(sent < 200, 'the queue never fills');
  }
  assert.equal(client.writable, false);
  assert.ok(client.info.queued >= client.info.highWater);
  await turn(10);
  const drained = once(client, 'drain');
  let received = 0;
  for await (const { length } of peer) {
    assert.equal(length, message.length);
    received += 1;
    if (received === sent) break;
  }
  await drained;
  assert.equal(client.writable, true);
  await done();
}));

test('the hard cap refuses a message whole', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, { highWater: 1000, hardCap: 2_000_000 });
  const message = Buffer.alloc(500_000);
  const results = Array.from({ length: 40 }, () => client.send(message).catch((error) => error));
  let accepted = 0;
  for (const result of results) {
    // Nobody has received anything: what was accepted waits.
    const refused = await Promise.race([result, turn()]);
    if (refused === undefined) accepted += 1;
    else assert.deepEqual([refused.code, refused.status, refused.syscall], ['EAGAIN', 'FER_EAGAIN', 'send']);
  }
  assert.ok(accepted > 0 && accepted < results.length);
  let received = 0;
  client.close();
  for await (const { length } of peer) {
    assert.equal(length, message.length);
    received += 1;
  }
  assert.equal(received, accepted);
  await done();
}));

test('the limits of both sides hold', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, {}, { maxMessage: 1000 });
  assert.deepEqual(
    { wire: client.info.wire, version: client.info.version, peerMaxMessage: client.info.peerMaxMessage },
    { wire: 'native', version: 1, peerMaxMessage: 1000 },
  );
  await assert.rejects(client.send(Buffer.alloc(1001)), { code: 'EMSGSIZE', status: 'FER_EMSGSIZE' });
  client.send(Buffer.alloc(1000, 1));
  assert.equal((await peer.receive()).length, 1000);
  await done();
}));

test('the plain wire', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, { wire: 'plain' });
  assert.equal(client.info.wire, 'plain');
  await assert.rejects(client.send(''), { code: 'EINVAL', status: 'FER_EINVAL' });
  client.send('one');
  client.send(['t', 'w', 'o']);
  assert.equal(text(await peer.receive()), 'one');
  assert.equal(text(await peer.receive()), 'two');
  client.close();
  assert.equal(await peer.receive(), null);
  await done();
}));

test('close() flushes what was sent', isolated(async ({ address }) => {
  const { client, peer, server } = await pair(address);
  const big = Buffer.alloc(8_000_000, 3);
  client.send(big);
  client.send('after');
  const closing = client.close();
  assert.equal(client.closed, true);
  assert.ok(big.equals(await peer.receive()));
  assert.equal(text(await peer.receive()), 'after');
  assert.equal(await peer.receive(), null);
  await closing;
  await closed(peer);
  await server.close();
}));

test('close() of both sides at once', isolated(async ({ address }) => {
  const { client, peer, server } = await pair(address);
  const ends = [once(client, 'close'), once(peer, 'close')];
  await Promise.all([client.close(), peer.close(), client.close()]);
  await Promise.all(ends);
  await client.close();
  client.abort();
  await server.close();
}));

test('close() tells when the peer does not say goodbye', isolated(async ({ address }) => {
  const { client, peer, server } = await pair(address, { closeTimeout: 50 });
  // The peer does not receive: it never sees the goodbye.
  await assert.rejects(client.close(), { code: 'ETIMEDOUT', syscall: 'close', status: 'FER_ETIMEDOUT' });
  peer.abort();
  await closed(peer);
  await server.close();
}));

test('abort() ends a close() that waits', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const closing = client.close();
  client.abort();
  await assert.rejects(closing, { code: 'ECANCELED', status: 'FER_ECANCELED' });
  // The goodbye had left already.
  assert.equal(await peer.receive(), null);
  await done();
}));

test('a peer that aborted is an error, once', isolated(async ({ address }) => {
  for (const wait of ['event', 'loop', 'receive', 'later']) {
    const { client, peer, done } = await pair(address);
    const gone = event(peer, 'close');
    client.send('last');
    await turn(2);
    client.abort();
    if (wait === 'event') {
      const seen = [];
      peer.on('message', (message) => seen.push(text(message)));
      const [error] = await once(peer, 'error');
      assert.deepEqual(seen, ['last']);
      assert.equal(error.code, 'ECONNRESET');
    } else if (wait === 'loop') {
      const seen = [];
      await assert.rejects(async () => {
        for await (const message of peer) seen.push(text(message));
      }, { code: 'ECONNRESET', syscall: 'receive' });
      assert.deepEqual(seen, ['last']);
      assert.equal(await peer.receive(), null);
    } else if (wait === 'receive') {
      assert.equal(text(await peer.receive()), 'last');
      await assert.rejects(peer.receive(), { code: 'ECONNRESET' });
      assert.equal(await peer.receive(), null);
    } else {
      // Nobody waits when it comes: the error waits for the next receive().
      assert.equal(text(await peer.receive()), 'last');
      await gone;
      await assert.rejects(peer.send('x'), { code: 'ECONNRESET' });
      await assert.rejects(peer.receive(), { code: 'ECONNRESET' });
    }
    await peer.close();
    await gone;
    await done();
  }
}));

test('an error that nobody heard of comes out of close()', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  client.send('last');
  assert.equal(text(await peer.receive()), 'last');
  client.abort();
  await event(peer, 'close');
  await assert.rejects(peer.close(), { code: 'ECONNRESET' });
  await done();
}));

test('sending after the end says why', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  peer.resume();
  await client.close();
  await assert.rejects(client.send('x'), { code: 'ERR_FERRULE_CLOSED', status: 'FER_ECLOSED' });
  await closed(peer);
  await assert.rejects(peer.send('x'), { code: 'EPIPE', status: 'FER_EPIPE' });
  await done();
}));

test('await using closes', isolated(async ({ address }) => {
  const { client, peer, server } = await pair(address);
  peer.resume();
  await client[Symbol.asyncDispose]();
  assert.equal(client.closed, true);
  await closed(peer);
  await server[Symbol.asyncDispose]();
  assert.equal(server.closed, true);
}));

test('one server serves many clients', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address);
  const clients = await Promise.all(Array.from({ length: 50 }, () => ferrule.connect(address)));
  const peers = [];
  for (let i = 0; i < clients.length; i += 1) peers.push(await next());
  for (const peer of peers) peer.on('message', (message) => peer.send(message));
  clients.forEach((client, i) => client.send(`client ${i}`));
  const answers = await Promise.all(clients.map((client) => client.receive()));
  assert.deepEqual(answers.map(text), clients.map((_, i) => `client ${i}`));
  await Promise.all(clients.map((client) => client.close()));
  await Promise.all(peers.map(closed));
  await server.close();
}));

test('a sender that waits for drain goes on when the channel ends', isolated(async ({ address }) => {
  for (const how of ['abort', 'peer aborts', 'peer closes', 'close']) {
    const { client, peer, server } = await pair(address, { closeTimeout: 50 });
    client.on('error', () => {}).resume();
    client.send(Buffer.alloc(20_000_000));
    assert.equal(client.writable, false);
    const drained = event(client, 'drain');
    if (how === 'abort') client.abort();
    else if (how === 'peer aborts') peer.abort();
    else if (how === 'peer closes') peer.close();
    else client.close();
    await drained;
    await assert.rejects(client.send('x'), how.startsWith('peer') ? { code: /^(EPIPE|ECONNRESET)$/ } : { code: 'ERR_FERRULE_CLOSED' });
    client.abort();
    peer.abort();
    await Promise.all([closed(client), closed(peer), server.close()]);
  }
}));

test('an error is an event for who listens to messages, whatever came before', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  client.send('first');
  assert.equal(text(await peer.receive()), 'first');
  peer.on('message', () => {});
  const failed = event(peer, 'error');
  client.abort();
  assert.equal((await failed).code, 'ECONNRESET');
  await done();
}));
