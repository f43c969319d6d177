'use strict';

/** The wire vectors, from a raw socket to a real server, cut at every position. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { closed, ferrule, isolated, root, turn } = require('./helpers.js');

const { vectors } = JSON.parse(fs.readFileSync(path.join(root, 'tests', 'vectors', 'frames.json'), 'utf8'));

assert.ok(vectors.length > 0);

/** What this package can be told to take. */
const abilities = new Set();

/** Collects what the server sees of one client. */
class Watch {
  events = [];

  constructor(vector) {
    this.vector = vector;
    this.over = new Promise((resolve) => { this.resolve = resolve; });
  }

  open(channel) {
    this.channel = channel;
    if (this.vector.wire === 'native') {
      const { version, peerMaxMessage, peerMaxHandles } = channel.info;
      this.events.push({ type: 'hello', version, max_message: peerMaxMessage, max_handles: peerMaxHandles });
    }
    channel.on('message', (message) => {
      this.events.push({ type: 'message', hex: message.toString('hex'), handles: 0 });
    });
    channel.on('end', () => this.events.push({ type: 'ended', status: 'FER_EOF' }));
    channel.on('error', (error) => this.events.push({ type: 'error', status: error.status }));
    channel.on('close', () => this.resolve());
  }

  refuse(error) {
    this.events.push({ type: 'error', status: error.status });
    this.resolve();
  }
}

/** In JavaScript both are 'end': the goodbye, and the end of a plain stream between messages. */
function expected(vector) {
  return vector.events.map((event) => (
    event.type === 'goodbye' || event.type === 'end' ? { type: 'ended', status: 'FER_EOF' } : event));
}

/** Whether the server has accepted: it says hello, or on the plain wire gives the channel out. */
async function accepted(vector, socket, watch) {
  if (vector.wire === 'native') await once(socket, 'data');
  else while (watch.channel === undefined) await turn();
}

async function replay(vector, file, start, pieces) {
  const watch = new Watch(vector);
  start(watch);
  const socket = net.connect({ path: file, allowHalfOpen: true });
  // The server may close as soon as it has seen enough.
  socket.on('error', (error) => assert.match(error.code, /^(EPIPE|ECONNRESET)$/));
  const gone = new Promise((resolve) => { socket.on('close', resolve); });
  await accepted(vector, socket, watch);
  socket.resume();
  for (const piece of pieces) {
    if (piece.length > 0 && !socket.destroyed) socket.write(piece);
    await turn();
  }
  socket.end();
  await watch.over;
  socket.destroy();
  await gone;
  if (watch.channel !== undefined) await closed(watch.channel);
  return watch.events;
}

for (const vector of vectors) {
  const missing = (vector.needs ?? []).filter((need) => !abilities.has(need));
  if (missing.length > 0) continue;
  test(`vector ${vector.name}`, isolated(async ({ address, path: file }) => {
    let current;
    const server = await ferrule.listen(
      address,
      { wire: vector.wire, maxMessage: vector.limits.max_message },
      (channel) => current.open(channel),
    );
    server.on('clientError', (error) => current.refuse(error));
    const start = (watch) => { current = watch; };
    const bytes = Buffer.from(vector.hex, 'hex');
    const want = expected(vector);
    for (let position = 0; position <= bytes.length; position += 1) {
      const pieces = [bytes.subarray(0, position), bytes.subarray(position)];
      assert.deepEqual(await replay(vector, file, start, pieces), want, `cut at ${position}`);
    }
    const single = [...bytes].map((byte) => Buffer.of(byte));
    assert.deepEqual(await replay(vector, file, start, single), want, 'byte by byte');
    await server.close();
  }));
}
