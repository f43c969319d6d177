'use strict';

/** What the collector takes and what it must leave, what keeps Node running, and the async context. */

const assert = require('node:assert/strict');
const { AsyncLocalStorage, executionAsyncResource } = require('node:async_hooks');
const fs = require('node:fs');
const { test } = require('node:test');
const { closed, event, ferrule, isolated, listenQueue, pair, run, turn } = require('./helpers.js');

const { Pipe } = ferrule;

test('the collector leaves what is open and takes what is closed', isolated(async ({ folder }) => {
  const { code, signal, stdout, stderr } = await run('collect.js', [folder], { execArgv: ['--expose-gc'] });
  assert.equal(stderr, '');
  assert.deepEqual([code, signal], [0, null]);
  assert.deepEqual(stdout.trim().split('\n').filter((line) => !line.endsWith(': ok')), []);
  assert.ok(stdout.split('\n').length > 9, stdout);
}));

test('Node exits when nothing is open, and not before', isolated(async ({ folder }) => {
  const over = ['loaded', 'pipe made', 'channel closed', 'server unref', 'channel unref', 'pipe unref', 'pipe destroyed', 'nobody receives', 'nobody waits'];
  for (const role of over) {
    const { code, signal, stdout, stderr } = await run('lone.js', [role, folder]);
    assert.equal(stderr, '', role);
    assert.deepEqual([code, signal], [0, null], role);
    assert.equal(stdout, 'end\nexit\n', role);
  }
  const sent = await run('lone.js', ['everything sent', folder]);
  assert.deepEqual(sent, { code: 0, signal: null, stdout: 'end\nsent\nexit\n', stderr: '' });
  const gathered = await run('lone.js', ['gathered', folder]);
  assert.equal(gathered.code, 0);
  assert.deepEqual(gathered.stdout.split('\n').sort(), ['', 'end', 'exit', 'sent']);
  for (const role of ['server', 'listener', 'receive', 'for await', 'waits again', 'sending', 'server ref', 'listener ref', 'pipe listening']) {
    const { code, stdout, stderr } = await run('lone.js', [role, folder, 'watch']);
    assert.equal(stderr, '', role);
    assert.equal(code, 0, role);
    assert.equal(stdout, 'end\nstill open\nexit\n', role);
    for (const name of fs.readdirSync(folder)) fs.unlinkSync(`${folder}/${name}`);
  }
}));

test('AsyncLocalStorage is kept in every callback', isolated(async ({ address, path: file }) => {
  const storage = new AsyncLocalStorage();
  const seen = new Map();
  const note = (what) => seen.set(what, storage.getStore());
  const accepted = [];
  const server = await storage.run('server', () => ferrule.listen(address, (channel) => {
    note('handler');
    accepted.push(channel);
    channel.on('message', (message) => {
      note('message at the server');
      channel.send(message).then(() => note('after a send'));
    });
    channel.on('end', () => note('end'));
    channel.on('close', () => note('close'));
  }));
  const client = await storage.run('client', async () => {
    const channel = await ferrule.connect(address, { highWater: 1000 });
    note('after connect');
    channel.on('message', () => note('message at the client'));
    channel.on('drain', () => note('drain'));
    return channel;
  });
  const drained = event(client, 'drain');
  storage.run('send', () => client.send(Buffer.alloc(3_000_000)).then(() => note('own send')));
  await Promise.all([drained, event(client, 'message')]);
  const over = event(accepted[0], 'close');
  await storage.run('close', async () => {
    await client.close();
    note('after close');
  });
  await over;
  await server.close();
  assert.deepEqual(Object.fromEntries(seen), {
    'handler': 'server',
    'message at the server': 'server',
    'after a send': 'server',
    'end': 'server',
    'close': 'server',
    'after connect': 'client',
    'message at the client': 'client',
    'drain': 'client',
    'own send': 'send',
    'after close': 'close',
  });
  seen.clear();
  const listener = storage.run('listener', () => new Pipe().bind(file).listen(() => {
    note('connection');
    listener.accept().on('data', () => note('data')).on('close', () => note('closed')).resume();
  }));
  const pipe = storage.run('pipe', () => new Pipe());
  await pipe.connect(file);
  await new Promise((resolve) => { pipe.write('x', resolve); });
  await turn(2);
  pipe.end();
  pipe.resume();
  await event(pipe, 'close');
  await turn(2);
  listener.destroy();
  await event(listener, 'close');
  assert.deepEqual(Object.fromEntries(seen), { connection: 'listener', data: 'listener', closed: 'listener' });
}));

test('callbacks run with a resource of their own', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  const outside = executionAsyncResource();
  const inside = new Promise((resolve) => { peer.on('message', () => resolve(executionAsyncResource())); });
  client.send('x');
  assert.notEqual(await inside, outside);
  await done();
}));

test('promise jobs and ticks run between two callbacks', isolated(async ({ address }) => {
  // Two channels with a message each, both ready in the same turn of the loop.
  const { server, next } = await listenQueue(address);
  const clients = await Promise.all([ferrule.connect(address), ferrule.connect(address)]);
  const peers = [await next(), await next()];
  const order = [];
  peers.forEach((peer, i) => peer.on('message', () => {
    order.push(`message ${i}`);
    process.nextTick(() => order.push(`tick ${i}`));
    Promise.resolve().then(() => order.push(`job ${i}`));
  }));
  for (const client of clients) client.send('x');
  await turn(3);
  const [first, second] = order[0] === 'message 0' ? [0, 1] : [1, 0];
  assert.deepEqual(order, [first, second].flatMap((i) => [`message ${i}`, `tick ${i}`, `job ${i}`]));
  for (const channel of [...clients, ...peers]) channel.abort();
  await Promise.all([...clients, ...peers].map(closed));
  await server.close();
}));
