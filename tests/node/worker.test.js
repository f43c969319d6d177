'use strict';

/** Workers: each has a loop of its own, and may be terminated with anything open. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { closed, event, ferrule, isolated, listenQueue, pair, run } = require('./helpers.js');

/** A worker that says when it is in the state that its role names. */
async function startWorker(role, address) {
  const worker = new Worker(path.join(__dirname, 'fixtures', 'worker.js'), { workerData: { role, address } });
  // From the start: these events can come in the same turn as the message.
  worker.exited = event(worker, 'exit');
  worker.failed = event(worker, 'error');
  const [word] = await once(worker, 'message');
  assert.equal(word, 'ready');
  return worker;
}

test('a worker that listens is terminated', isolated(async ({ address, folder }) => {
  const worker = await startWorker('listening', address);
  assert.deepEqual(fs.readdirSync(folder), ['socket']);
  await worker.terminate();
  assert.deepEqual(fs.readdirSync(folder), []);
}));

test('a worker that listens with a Pipe is terminated', isolated(async ({ address }) => {
  await (await startWorker('pipe listening', address)).terminate();
}));

test('a worker with an idle connection is terminated', isolated(async ({ address }) => {
  for (const role of ['connected', 'receiving', 'pipe connected']) {
    const { server, next } = await listenQueue(address, { wire: role.startsWith('pipe') ? 'plain' : 'native' });
    const worker = await startWorker(role, address);
    const peer = await next();
    await worker.terminate();
    if (role === 'pipe connected') assert.equal(await peer.receive(), null);
    else await assert.rejects(peer.receive(), { code: 'ECONNRESET' });
    await closed(peer);
    await server.close();
  }
}));

test('a worker with writes under way is terminated', isolated(async ({ address }) => {
  for (const role of ['writing', 'writing with promises', 'closing', 'pipe writing']) {
    const { server, next } = await listenQueue(address, { wire: role.startsWith('pipe') ? 'plain' : 'native' });
    const worker = await startWorker(role, address);
    const peer = await next();
    await worker.terminate();
    peer.abort();
    await closed(peer);
    await server.close();
  }
}));

test('a worker that connects is terminated', isolated(async ({ address }) => {
  await (await startWorker('connecting', address)).terminate();
}));

test('a worker that is busy in a callback is terminated', isolated(async ({ address }) => {
  for (const role of ['busy in message', 'busy in handler']) {
    const worker = await startWorker(role, address);
    const channel = await ferrule.connect(address);
    channel.on('error', () => {});
    channel.send('x');
    await once(worker, 'message');
    await worker.terminate();
    channel.abort();
    await closed(channel);
  }
}));

test('a worker that ends by itself, with everything open', isolated(async ({ address, folder }) => {
  const worker = await startWorker('exiting', address);
  worker.postMessage('exit');
  assert.equal(await worker.exited, 0);
  assert.deepEqual(fs.readdirSync(folder), []);
}));

test('a worker that throws in a callback ends with the error', isolated(async ({ address }) => {
  const worker = await startWorker('throwing', address);
  const channel = await ferrule.connect(address);
  channel.send('x');
  assert.equal((await worker.failed).message, 'thrown in a worker');
  assert.equal(await worker.exited, 1);
  await assert.rejects(channel.receive(), { code: 'ECONNRESET' });
  await closed(channel);
}));

test('a worker that is done ends, though objects are not collected yet', isolated(async ({ address }) => {
  const worker = await startWorker('done', address);
  assert.equal(await worker.exited, 0);
}));

test('the main thread and two workers at once', isolated(async ({ folder, address }) => {
  const workers = await Promise.all([1, 2].map((i) => startWorker('echo', `pipe:${folder}/worker${i}`)));
  const { client, peer, done } = await pair(address);
  peer.on('message', (message) => peer.send(message));
  const channels = [client, ...await Promise.all([1, 2].map((i) => ferrule.connect(`pipe:${folder}/worker${i}`)))];
  await Promise.all(channels.map(async (channel, c) => {
    for (let round = 0; round < 200; round += 1) {
      const message = Buffer.alloc(1 + ((round * 997) % 70_000), c * 50 + round);
      channel.send(message);
      assert.ok(message.equals(await channel.receive()));
    }
  }));
  // One goes, the others go on.
  await workers[0].terminate();
  await assert.rejects(channels[1].receive(), { code: 'ECONNRESET' });
  channels[2].send('still there');
  assert.equal(String(await channels[2].receive()), 'still there');
  await channels[2].close();
  await workers[1].terminate();
  await done();
}));

test('many workers come and go', isolated(async ({ folder }) => {
  await Promise.all(Array.from({ length: 4 }, async (_, lane) => {
    for (let round = 0; round < 8; round += 1) {
      const address = `pipe:${folder}/${lane}`;
      const worker = await startWorker('echo', address);
      const channel = await ferrule.connect(address);
      channel.send('hello');
      assert.equal(String(await channel.receive()), 'hello');
      const over = event(channel.on('error', () => {}).resume(), 'close');
      await worker.terminate();
      await over;
    }
  }));
}));

test('a process exits with everything open', isolated(async ({ folder }) => {
  for (const how of ['exit', 'end', 'throw']) {
    const { code, signal, stdout, stderr } = await run('exit.js', [folder, how]);
    assert.equal(signal, null, stderr);
    assert.equal(code, how === 'throw' ? 1 : 0, stderr);
    assert.equal(stdout, 'open\n');
    for (const name of fs.readdirSync(folder)) fs.unlinkSync(path.join(folder, name));
  }
}));
