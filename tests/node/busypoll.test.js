'use strict';

/** Looking for answers before going to sleep: everything is as without, only sooner. */

const assert = require('node:assert/strict');
const path = require('node:path');
const { test } = require('node:test');
const { Worker } = require('node:worker_threads');
const { addon, closed, ferrule, isolated, listenQueue, pair, run } = require('./helpers.js');

const child = path.join(__dirname, 'fixtures', 'child.js');
const asker = path.join(__dirname, 'fixtures', 'asker.js');
const env = { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined };

for (const busyPoll of [undefined, 0, 0.0001, 0.05, 1]) {
  test(`questions and answers, and timers beside them, with busyPoll ${busyPoll}`, isolated(async () => {
    const echo = await ferrule.spawn(process.execPath, [child, 'echo'], { env, busyPoll });
    const { channel } = echo;
    let ticks = 0;
    const timer = setInterval(() => { ticks += 1; }, 1);
    for (let number = 0; number < 500 || ticks < 10; number += 1) {
      channel.send(String(number));
      assert.equal(String(await channel.receive()), String(number));
    }
    clearInterval(timer);
    await channel.close();
    await echo.exited;
  }));
}

test('two ends in one program', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address, { busyPoll: 1 });
  peer.on('message', (message) => peer.send(message));
  for (let number = 0; number < 500; number += 1) {
    client.send(String(number));
    assert.equal(String(await client.receive()), String(number));
  }
  // Others have their turns while it looks for an answer that does not come.
  peer.pause();
  client.send('question');
  await new Promise((resolve) => { setImmediate(resolve); });
  await new Promise((resolve) => { setTimeout(resolve, 3); });
  peer.resume();
  assert.equal(String(await client.receive()), 'question');
  await done();
}));

test('looking for an answer does not keep Node from exiting', isolated(async ({ address }) => {
  const { server, next } = await listenQueue(address);
  const ended = run('asker.js', [address, '200']);
  const channel = await next();
  let questions = 0;
  channel.on('message', () => {
    questions += 1;
    if (questions <= 200) channel.send('answer');
  });
  channel.on('error', () => {});
  assert.deepEqual(await ended, { code: 0, signal: null, stdout: '', stderr: '' });
  await closed(channel);
  assert.equal(questions, 201);
  await server.close();
}));

test('a worker that looks for an answer is terminated', isolated(async ({ address }) => {
  for (let round = 0; round < 5; round += 1) {
    const { server, next } = await listenQueue(address, { busyPoll: 0 });
    const worker = new Worker(asker, { workerData: { address } });
    const channel = await next();
    let questions = 0;
    await new Promise((resolve) => {
      channel.on('message', () => {
        questions += 1;
        if (questions === 200) resolve();
        else channel.send('answer');
      });
    });
    channel.on('error', () => {});
    await worker.terminate();
    await closed(channel);
    await server.close();
  }
}));
