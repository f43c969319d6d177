'use strict';

/** What the tests share. Nothing here waits for time: only for events and for turns of the loop. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const { spawn } = require('node:child_process');
const dns = require('node:dns');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after } = require('node:test');

const { descriptors } = require('./descriptors.js');

const package_ = path.resolve(__dirname, '../../bindings/node');
const root = path.resolve(__dirname, '../..');
const ferrule = require(package_);
/** The addon's file that the tests run on. */
const addon = path.resolve(process.env.FERRULE_NODE_ADDON || require(path.join(package_, 'node_modules', 'node-gyp-build')).resolve(package_));

/** The loop turns once, from poll to poll. */
async function turn(count = 1) {
  for (let i = 0; i < 2 * count; i += 1) await new Promise((resolve) => { setImmediate(resolve); });
}

/** A test that failed may have left something open, for which Node would wait. */
let failures = 0;
after(() => {
  if (failures > 0) setTimeout(() => process.exit(1), 1000).unref();
});

/** Everything that Node and the library open once and keep is open before descriptors are counted. */
let warm;
async function warmUp() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-'));
  const server = await ferrule.listen(`pipe:${folder}/warm`, (channel) => channel.resume());
  const channel = await ferrule.connect(server.address);
  await channel.close();
  await server.close();
  const socket = net.connect(`${folder}/none`);
  await once(socket, 'error');
  fs.rmSync(folder, { recursive: true });
  // Node's resolver, which its TCP and UDP sockets start, opens its source of randomness once.
  dns.getServers();
  await turn(2);
}

/** A test that waits for something that does not come. */
async function limited(promise) {
  let timer;
  const late = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error('nothing happened for two minutes')), 120_000);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * The body of a test that has a folder of its own, and must leave no descriptor and no file behind.
 *
 * @param {(context: { folder: string, address: string, path: string }) => Promise<void>} body
 */
function isolated(body) {
  return async () => {
    warm ??= warmUp();
    await warm;
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-'));
    const before = descriptors();
    failures += 1;
    try {
      await limited(body({ folder, path: `${folder}/socket`, address: `pipe:${folder}/socket` }));
      await turn(2);
      assert.deepEqual([...descriptors()].filter(([fd, what]) => before.get(fd) !== what), [], 'left open');
      assert.deepEqual(fs.readdirSync(folder), [], 'left behind');
      failures -= 1;
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  };
}

/** A server that gives its channels out one by one: next() waits for one. */
async function listenQueue(address, options = {}) {
  const waiting = [];
  const takers = [];
  const server = await ferrule.listen(address, options, (channel) => {
    if (takers.length > 0) takers.shift()(channel);
    else waiting.push(channel);
  });
  const next = () => (waiting.length > 0
    ? Promise.resolve(waiting.shift())
    : new Promise((resolve) => { takers.push(resolve); }));
  return { server, next };
}

/** Two ends of a channel, and done(), which closes everything. */
async function pair(address, options = {}, serverOptions = options) {
  const { server, next } = await listenQueue(address, serverOptions);
  const client = await ferrule.connect(server.address, options);
  const peer = await next();
  const done = async () => {
    // First, so that on FIFOs nobody else is waited for.
    const closing = server.close();
    await Promise.all([abortAll(client, peer), closing]);
  };
  return { client, peer, server, next, done };
}

/** Every way to a channel: a function of a folder and options, which gives what pair() gives. */
const ways = {
  pipe: (folder, ...options) => pair(`pipe:${folder}/channel`, ...options),
  fifo: (folder, ...options) => pair('fifo:', ...options),
  tcp: (folder, ...options) => pair('tcp:127.0.0.1:0', ...options),
  async fd(folder, options = {}, others = options) {
    const [a, b] = ferrule.Pipe.pair().map((pipe) => pipe.detach());
    const [client, peer] = await Promise.all([ferrule.connect(`fd:${a}`, options), ferrule.connect(`fd:${b}`, others)]);
    return { client, peer, done: () => abortAll(client, peer) };
  },
  async pair(folder, options) {
    const [client, peer] = await ferrule.pair(options);
    return { client, peer, done: () => abortAll(client, peer) };
  },
};

/** Abort channels, and wait for their ends. */
async function abortAll(...channels) {
  const closes = channels.map((channel) => closed(channel));
  for (const channel of channels) channel.abort();
  await Promise.all(closes);
}

/** An event, without events.once()'s listener of 'error', which would change where errors go. */
function event(emitter, name) {
  return new Promise((resolve) => { emitter.once(name, resolve); });
}

/** 'close', also when it has come already: close() is allowed again. */
function closed(channel) {
  return channel.close().catch(() => {});
}

/** Run a script of fixtures/; gives what it printed, its exit code and its signal. */
async function run(script, args = [], { execArgv = [], env = {} } = {}) {
  const child = spawn(process.execPath, [...execArgv, path.join(__dirname, 'fixtures', script), ...args], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => { stdout += text; });
  child.stderr.setEncoding('utf8').on('data', (text) => { stderr += text; });
  const [code, signal] = await once(child, 'close');
  return { code, signal, stdout, stderr };
}

module.exports = { abortAll, addon, closed, descriptors, event, ferrule, isolated, listenQueue, package_, pair, root, run, turn, ways };
