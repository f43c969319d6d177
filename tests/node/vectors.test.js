'use strict';

/** The wire vectors, from a raw socket to a real server, cut at every position. */

const assert = require('node:assert/strict');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { closed, ferrule, isolated, root, turn } = require('./helpers.js');

const { vectors } = JSON.parse(fs.readFileSync(path.join(root, 'tests', 'vectors', 'frames.json'), 'utf8'));

assert.ok(vectors.length > 0);

/** A Pipe passes one descriptor with a byte. The vectors with several on one are replayed in C and Python. */
const replayed = vectors.filter(({ rides = [] }) => rides.every(({ count }) => count === 1));

assert.ok(replayed.some(({ needs }) => needs?.includes('handles')));

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
    channel.on('message', (message, handles) => {
      this.events.push({ type: 'message', hex: message.toString('hex'), handles: handles.length });
      for (const handle of handles) handle.close();
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

/** A piece, cut once more where a descriptor rides on a byte: [bytes, whether one does]. */
function cutAtRides(piece, rides = []) {
  const at = new Set(rides.map((ride) => ride.at - piece.at));
  const found = [];
  let start = 0;
  for (let i = 1; i <= piece.length; i += 1) {
    if (i < piece.length && !at.has(i)) continue;
    found.push([piece.subarray(start, i), at.has(start)]);
    start = i;
  }
  return found;
}

/** What is passed: which it is does not matter. */
const passed = fs.openSync('/dev/null', 'r');

async function replay(vector, file, start, pieces) {
  const watch = new Watch(vector);
  start(watch);
  const socket = new ferrule.Pipe({ ipc: true, allowHalfOpen: true });
  // The server may close as soon as it has seen enough.
  socket.on('error', (error) => assert.match(error.code, /^(EPIPE|ECONNRESET)$/));
  const gone = new Promise((resolve) => { socket.on('close', resolve); });
  await socket.connect(file);
  await accepted(vector, socket, watch);
  socket.resume();
  for (const piece of pieces) {
    for (const [bytes, rides] of cutAtRides(piece, vector.rides)) {
      if (socket.destroyed) continue;
      if (rides) socket.writeHandle(bytes, passed);
      else socket.write(bytes);
    }
    await turn();
  }
  if (!socket.destroyed) socket.end();
  await watch.over;
  socket.destroy();
  await gone;
  if (watch.channel !== undefined) await closed(watch.channel);
  return watch.events;
}

/** The pieces of some bytes between positions; each knows its own. */
function cut(bytes, positions) {
  return positions.map((position, i) => Object.assign(bytes.subarray(position, positions[i + 1]), { at: position }));
}

for (const vector of replayed) {
  test(`vector ${vector.name}`, isolated(async ({ address, path: file }) => {
    let current;
    const server = await ferrule.listen(
      address,
      { wire: vector.wire, maxMessage: vector.limits.max_message, maxHandles: vector.limits.max_handles },
      (channel) => current.open(channel),
    );
    server.on('clientError', (error) => current.refuse(error));
    const start = (watch) => { current = watch; };
    const bytes = Buffer.from(vector.hex, 'hex');
    const want = expected(vector);
    for (let position = 0; position <= bytes.length; position += 1) {
      const pieces = cut(bytes, [0, position]);
      assert.deepEqual(await replay(vector, file, start, pieces), want, `cut at ${position}`);
    }
    const single = cut(bytes, Array.from(bytes, (_, i) => i));
    assert.deepEqual(await replay(vector, file, start, single), want, 'byte by byte');
    await server.close();
  }));
}
