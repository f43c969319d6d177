'use strict';

/** Channels over every transport and wire, between two ends of this package. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const path = require('node:path');
const { test } = require('node:test');
const { addon, closed, event, ferrule, isolated, listenQueue, turn, ways } = require('./helpers.js');

const { connect, listen } = ferrule;
const wires = ['native', 'plain'];

/** Around what kernels and programs have as borders. */
const SIZES = [
  0, 1, 4, 4095, 4096, 4097, 65531, 65532, 65533, 65534, 65535, 65536, 65537, 219262, 219263, 219264, 1 << 20,
];

function filled(size, i) {
  return Buffer.alloc(size, (i % 251) + 1);
}

/** One end sends all of them, the other takes them and compares. */
async function carry(from, to, messages) {
  const sending = (async () => {
    for (const message of messages) await from.send(message);
  })();
  for (const [i, message] of messages.entries()) {
    const got = await to.receive();
    assert.ok(got.equals(message), `message ${i} of ${message.length} bytes`);
  }
  await sending;
}

for (const [name, open] of Object.entries(ways)) {
  for (const wire of wires) {
    const label = `${name}, ${wire}`;
    const sizes = wire === 'plain' ? SIZES.filter((size) => size > 0) : SIZES;

    test(`${label}: sizes, both ways at once`, isolated(async ({ folder }) => {
      const { client, peer, done } = await open(folder, { wire });
      assert.equal(client.info.wire, wire);
      const messages = [...sizes, ...sizes.reverse()].map(filled);
      await Promise.all([carry(client, peer, messages), carry(peer, client, messages)]);
      // And one by one, so that each is a read of its own.
      for (const [i, size] of sizes.entries()) await carry(client, peer, [filled(size, i)]);
      if (wire === 'plain') await assert.rejects(client.send(''), { code: 'EINVAL' });
      await done();
    }));

    test(`${label}: 64 MiB, and one byte more`, isolated(async ({ folder }) => {
      const { client, peer, done } = await open(folder, { wire });
      const most = Buffer.alloc(64 << 20, 'message ');
      await assert.rejects(client.send([most, 'x']), { code: 'EMSGSIZE' });
      client.send(most);
      assert.ok(most.equals(await peer.receive()));
      await done();
    }));

    test(`${label}: a limit, and one byte more`, isolated(async ({ folder }) => {
      const { client, peer, done } = await open(folder, { wire, maxMessage: 70_000 });
      await carry(client, peer, [filled(69_999, 1), filled(70_000, 2)]);
      await assert.rejects(client.send(filled(70_001, 3)), { code: 'EMSGSIZE', status: 'FER_EMSGSIZE' });
      await carry(client, peer, [filled(10, 4)]);
      await done();
    }));

    test(`${label}: a goodbye, an empty message and a death are three things`, isolated(async ({ folder }) => {
      const first = await open(folder, { wire });
      const stopping = first.server?.close();
      first.client.send('last');
      const closing = first.client.close();
      assert.equal(String(await first.peer.receive()), 'last');
      assert.equal(await first.peer.receive(), null);
      await closing;
      assert.equal(first.client.unsent, 0);
      await closed(first.peer);
      await stopping;
      await first.done();

      const second = await open(folder, { wire });
      if (wire === 'native') {
        second.client.send('');
        assert.equal((await second.peer.receive()).length, 0);
      }
      second.client.send('last');
      await turn(2);
      second.client.abort();
      assert.equal(String(await second.peer.receive()), 'last');
      if (wire === 'native') await assert.rejects(second.peer.receive(), { code: 'ECONNRESET', status: 'FER_ECONNRESET' });
      else assert.equal(await second.peer.receive(), null);
      await second.done();
    }));

    test(`${label}: a flood of tiny messages and a slow reader`, isolated(async ({ folder }) => {
      const { client, peer, done } = await open(folder, { wire });
      peer.on('message', () => {}).pause();
      // The kernel's buffers for TCP hold tens of megabytes.
      const tiny = name === 'tcp' ? 'x'.repeat(40) : 'x';
      const count = 1_000_000;
      let sent = 0;
      // The sender is told, and what is on its way stays bounded, however long it goes on.
      while (sent < count && client.writable) {
        client.send(tiny);
        sent += 1;
        if (sent % 1000 === 0) await turn();
      }
      assert.ok(sent < count, `${sent} were accepted`);
      assert.equal(client.trySend('x'), false);
      await turn(20);
      assert.ok(client.info.queued > 0);
      assert.equal(client.trySend('x'), false);
      let got = 0;
      const all = new Promise((resolve) => {
        peer.removeAllListeners('message').on('message', (message) => {
          assert.equal(message.length, tiny.length);
          got += 1;
          if (got === sent) resolve();
        });
      });
      const drained = event(client, 'drain');
      peer.resume();
      await Promise.all([all, drained]);
      assert.equal(client.trySend('y'), true);
      await done();
    }));

    test(`${label}: what is not flushed is told`, isolated(async ({ folder }) => {
      const { client, peer, done } = await open(folder, { wire, closeTimeout: 50 });
      assert.equal(client.unsent, 0);
      client.send(Buffer.alloc(20_000_000));
      const error = await client.close().catch((reason) => reason);
      assert.equal(error.code, 'ETIMEDOUT');
      assert.ok(error.unsent > 1_000_000 && error.unsent <= 20_000_012, `${error.unsent}`);
      assert.equal(client.unsent, error.unsent);
      assert.equal(peer.unsent, 0);
      await done();
    }));

    test(`${label}: a cork gathers`, isolated(async ({ folder }) => {
      const { client, peer, server, done } = await open(folder, { wire });
      const taking = peer.receive();
      assert.equal(client.cork().cork(), client);
      for (const word of ['one', 'two', 'three']) client.send(word);
      await turn(5);
      assert.ok(client.info.queued > 10);
      assert.equal(client.uncork(), client);
      assert.equal(String(await taking), 'one');
      assert.equal(String(await peer.receive()), 'two');
      assert.equal(String(await peer.receive()), 'three');
      // A close flushes what is held back.
      client.cork().send('four');
      const stopping = server?.close();
      const closing = client.close();
      assert.equal(String(await peer.receive()), 'four');
      assert.equal(await peer.receive(), null);
      await closing;
      await stopping;
      client.uncork().cork();
      await done();
    }));
  }
}

/** A program that sends and exits as soon as close() says that all is flushed. */
async function leave(address, wire, size) {
  const child = spawn(process.execPath, [path.join(__dirname, 'fixtures', 'leaver.js'), address, wire, String(size)], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);
}

for (const [name, address] of [['pipe', null], ['fifo', 'fifo:'], ['tcp', 'tcp:127.0.0.1:0']]) {
  for (const wire of wires) {
    test(`${name}, ${wire}: what close() flushed arrives, though the sender exits`, isolated(async ({ folder }) => {
      for (const size of [1, 219_263, 5_000_000]) {
        const { server, next } = await listenQueue(address ?? `pipe:${folder}/channel`, { wire });
        const exit = leave(server.address, wire, size);
        const channel = await next();
        assert.ok((await channel.receive()).equals(Buffer.alloc(size, 'sent and gone')));
        assert.equal(await channel.receive(), null);
        const closing = server.close();
        await exit;
        await closed(channel);
        await closing;
      }
    }));
  }
}

test('pair() with options', isolated(async () => {
  const [a, b] = await ferrule.pair({ maxMessage: 10, wire: 'plain' });
  assert.equal(a.info.maxMessage, 10);
  assert.equal(b.info.wire, 'plain');
  await assert.rejects(a.send('longer than ten'), { code: 'EMSGSIZE' });
  b.resume();
  await Promise.all([a.close(), b.close()]);
  await assert.rejects(ferrule.pair({ wire: 'copper' }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(ferrule.pair(7), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(ferrule.pair({ wire: 'plain', maxHandles: 1 }), { code: 'ENOTSUP', syscall: 'pair' });
}));

test('hosts beyond the loopback are for who asks for them', isolated(async () => {
  await assert.rejects(listen('tcp:0.0.0.0:0', () => {}), { code: 'EPERM', syscall: 'listen' });
  await assert.rejects(connect('tcp:192.0.2.1:9'), { code: 'EPERM', syscall: 'connect' });
  const server = await listen('tcp:0.0.0.0:0', { anyHost: true }, (channel) => channel.resume());
  assert.match(server.address, /^tcp:0\.0\.0\.0:[1-9]\d*$/);
  const channel = await connect(server.address.replace('0.0.0.0', '127.0.0.1'));
  await channel.close();
  await server.close();
}));

test('a descriptor that will not do stays the caller\'s, and one that listens becomes a server', isolated(async () => {
  const listener = new ferrule.TCP().bind('127.0.0.1', 0).listen();
  await assert.rejects(connect(`fd:${listener.fileno()}`), { code: 'ENOTCONN' });
  await assert.rejects(connect('fd:99999'), { code: 'EBADF' });
  const { port } = listener.getsockname();
  const server = await listen(`fd:${listener.detach()}`, (channel) => channel.resume());
  const channel = await connect(`tcp:127.0.0.1:${port}`);
  await channel.close();
  await server.close();
}));
