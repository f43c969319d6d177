'use strict';

/** Servers whose channels are iterated over, and their ends. */

const assert = require('node:assert/strict');
const { test } = require('node:test');
const { closed, event, ferrule, isolated, listenQueue, turn } = require('./helpers.js');

test('for await over a server, until it is closed', isolated(async ({ address }) => {
  const server = await ferrule.listen(address);
  const serving = (async () => {
    const words = [];
    for await (const channel of server) {
      const message = await channel.receive();
      words.push(String(message));
      channel.send(message);
      if (words.length === 3) server.close();
    }
    return words;
  })();
  for (const word of ['one', 'two', 'three']) {
    const channel = await ferrule.connect(address);
    channel.send(word);
    assert.equal(String(await channel.receive()), word);
    await channel.close();
  }
  assert.deepEqual(await serving, ['one', 'two', 'three']);
  await server.close();
  assert.deepEqual(await server[Symbol.asyncIterator]().next(), { value: undefined, done: true });
}));

test('clients that come before anybody iterates wait; leaving the loop leaves the server open', isolated(async ({ address }) => {
  const server = await ferrule.listen(address, { maxChannels: 4 });
  const clients = await Promise.all([1, 2, 3].map(() => ferrule.connect(address)));
  clients.forEach((client, i) => client.send(`${i}`));
  const taken = [];
  for await (const channel of server) {
    taken.push(channel);
    if (taken.length === 2) break;
  }
  assert.equal(server.closed, false);
  for await (const channel of server) {
    taken.push(channel);
    break;
  }
  const words = await Promise.all(taken.map((channel) => channel.receive()));
  assert.deepEqual(words.map(String).sort(), ['0', '1', '2']);
  for (const client of clients) client.abort();
  await Promise.all([...clients, ...taken].map(closed));
  await server.close();
}));

test('several take at once: each channel goes to one', isolated(async ({ address }) => {
  const server = await ferrule.listen(address);
  const [one, two] = [server[Symbol.asyncIterator](), server[Symbol.asyncIterator]()];
  const takes = [one.next(), two.next(), one.next()];
  const clients = await Promise.all([1, 2].map(() => ferrule.connect(address)));
  const [a, b] = await Promise.all(takes.slice(0, 2));
  assert.notEqual(a.value, b.value);
  await server.close();
  assert.deepEqual(await takes[2], { value: undefined, done: true });
  for (const client of clients) client.abort();
  await Promise.all([...clients, a.value, b.value].map(closed));
}));

test('channels that nobody took are closed with the server, and vanish when their clients do', isolated(async ({ address }) => {
  const server = await ferrule.listen(address);
  const clients = await Promise.all([1, 2].map(() => ferrule.connect(address)));
  await turn(2);
  assert.equal(server.count, 2);
  await server.close();
  for (const client of clients) await assert.rejects(client.receive(), { code: 'ECONNRESET' });
  await Promise.all(clients.map(closed));
}));

test('a server with a handler is not iterated over', isolated(async ({ address }) => {
  const server = await ferrule.listen(address, () => {});
  assert.throws(() => server[Symbol.asyncIterator](), { code: 'ERR_INVALID_STATE' });
  await server.close();
}));

test('close({ drain }), asyncDispose and the signal', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address);
  const client = await ferrule.connect(address);
  const peer = await next();
  await assert.rejects(async () => server.close({ drain: 1 }), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(async () => server.close(5), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.equal(server.closed, false);
  peer.send('the last');
  const draining = server.close({ drain: true });
  assert.equal(String(await client.receive()), 'the last');
  assert.equal(await client.receive(), null);
  await draining;
  assert.deepEqual([server.count, peer.closed], [0, true]);
  await closed(client);

  const second = await ferrule.listen(address);
  await second[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]();
  assert.equal(second.closed, true);

  const controller = new AbortController();
  const third = await ferrule.listen(address, { signal: controller.signal });
  const waiting = third[Symbol.asyncIterator]().next();
  const over = event(third, 'close');
  controller.abort();
  assert.equal((await waiting).done, true);
  await over;
}));
