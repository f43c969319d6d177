'use strict';

/** Pipe as a stream: both ends here, or Node's own net at the other one. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { createHash, randomBytes } = require('node:crypto');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { Readable } = require('node:stream');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');
const { addon, event, ferrule, isolated, turn } = require('./helpers.js');

const { Pipe } = ferrule;

/** Two connected pipes, and done(). */
async function pair(file, options = {}) {
  const listener = new Pipe();
  const accepted = new Promise((resolve) => {
    listener.bind(file).listen(() => resolve(listener.accept(new Pipe(options))));
  });
  const client = new Pipe(options);
  assert.equal(await client.connect(file), client);
  const peer = await accepted;
  const done = async () => {
    const open = [listener, client, peer].filter((pipe) => !pipe.closed);
    const closes = open.map((pipe) => event(pipe, 'close'));
    for (const pipe of open) pipe.destroy();
    await Promise.all(closes);
  };
  return { listener, client, peer, done };
}

/** All bytes up to the end. A `for await` would destroy the stream behind them. */
async function read(stream) {
  const chunks = [];
  stream.on('data', (chunk) => chunks.push(chunk));
  await once(stream, 'end');
  return Buffer.concat(chunks).toString();
}

test('bytes go both ways, and the end after them', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file, { allowHalfOpen: true });
  client.write('one ');
  client.write(Buffer.from('two '));
  client.end('three');
  assert.equal(await read(peer), 'one two three');
  assert.equal(peer.writable, true);
  peer.end('answer');
  assert.equal(await read(client), 'answer');
  await done();
}));

test('the end of the peer ends this side unless it is asked not to', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file);
  const finished = event(peer, 'finish');
  const closes = [event(peer, 'close'), event(client, 'close')];
  peer.resume();
  client.resume();
  client.end('x');
  await finished;
  await Promise.all(closes);
  await done();
}));

test('a pipeline carries many bytes unchanged', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file);
  const block = randomBytes(100_003);
  const sent = createHash('sha256');
  const received = createHash('sha256');
  function* blocks() {
    for (let i = 0; i < 100; i += 1) {
      sent.update(block.subarray(i * 7));
      yield block.subarray(i * 7);
    }
  }
  peer.on('data', (chunk) => received.update(chunk));
  await Promise.all([pipeline(Readable.from(blocks()), client), once(peer, 'end')]);
  assert.equal(received.digest('hex'), sent.digest('hex'));
  await done();
}));

test('Node talks to it, and it to Node', isolated(async ({ path: file }) => {
  const listener = new Pipe();
  listener.bind(file).listen(5, () => {
    const peer = listener.accept();
    pipeline(peer, peer).then(() => peer.destroy());
  });
  const socket = net.connect(file);
  socket.end('from net');
  assert.equal(await read(socket), 'from net');
  listener.destroy();
  await event(listener, 'close');
  const server = net.createServer({ allowHalfOpen: true }, (peer) => peer.pipe(peer)).listen(file);
  await once(server, 'listening');
  const pipe = new Pipe({ allowHalfOpen: true });
  await pipe.connect(file);
  pipe.end('to net');
  assert.equal(await read(pipe), 'to net');
  server.close();
  await event(server, 'close');
}));

test('writes before the connection wait for it', isolated(async ({ path: file }) => {
  const listener = new Pipe();
  const got = new Promise((resolve) => {
    listener.bind(file).listen(() => resolve(read(listener.accept())));
  });
  const client = new Pipe();
  const over = event(client.resume(), 'close');
  const connecting = client.connect(file);
  client.write('early ');
  client.end('bird');
  await connecting;
  assert.equal(await got, 'early bird');
  await over;
  listener.destroy();
  await event(listener, 'close');
}));

test('write tells when to wait, and drain when to go on', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file);
  const chunk = Buffer.alloc(200_000, 5);
  let sent = 0;
  while (client.write(chunk)) {
    sent += chunk.length;
    assert.ok(sent < 100e6, 'write never says to wait');
    await turn();
  }
  sent += chunk.length;
  // Many more behind it: they leave together.
  for (let i = 0; i < 50; i += 1) client.write('x');
  sent += 50;
  await turn(3);
  assert.equal(client.writableNeedDrain, true);
  assert.ok(client.writeQueueSize > 0);
  assert.equal(client.tryWrite('past the queue'), 0);
  let received = 0;
  const all = new Promise((resolve) => {
    peer.on('data', ({ length }) => {
      received += length;
      if (received === sent) resolve();
    });
  });
  await Promise.all([once(client, 'drain'), all]);
  assert.equal(client.writeQueueSize, 0);
  await done();
}));

test('a reader that pauses makes the writer wait, and loses nothing', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file);
  let received = 0;
  peer.on('data', ({ length }) => { received += length; });
  peer.pause();
  let written = 0;
  for (; written < 2e6; written += 50_000) client.write(Buffer.alloc(50_000));
  client.end();
  await turn(10);
  assert.equal(received, 0);
  assert.equal(peer.isPaused(), true);
  peer.resume();
  await once(peer, 'end');
  assert.equal(received, written);
  await done();
}));

test('tryWrite writes what fits', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file);
  let sent = client.tryWrite('text ');
  assert.equal(sent, 5);
  for (;;) {
    const written = client.tryWrite(Buffer.alloc(100_000));
    if (written === 0) break;
    sent += written;
  }
  let received = 0;
  const all = new Promise((resolve) => {
    peer.on('data', ({ length }) => {
      received += length;
      if (received === sent) resolve();
    });
  });
  await all;
  await done();
}));

test('names', isolated(async ({ folder }) => {
  const long = `${folder}/${'x'.repeat(50)}`;
  fs.mkdirSync(long);
  const cases = [
    `${folder}/plain`,
    Buffer.from(`${folder}/bytes`),
    pathToFileURL(`${folder}/url`),
    `${long}/${'y'.repeat(150)}`,
    `\0ferrule-${process.pid}`,
  ];
  for (const name of cases) {
    const { listener, client, peer, done } = await pair(name);
    const text = name instanceof URL ? `${folder}/url` : String(name);
    assert.equal(listener.getsockname(), text);
    assert.deepEqual(listener.getsockname({ encoding: 'buffer' }), Buffer.from(text));
    assert.equal(client.getsockname(), '');
    assert.equal(client.getpeername(), text);
    assert.equal(peer.getsockname(), text);
    await done();
  }
  assert.deepEqual(fs.readdirSync(long), []);
  fs.rmdirSync(long);
}));

test('the mode of the socket file', isolated(async ({ path: file }) => {
  for (const [mode, expected] of [[undefined, 0o600], [0o660, 0o660]]) {
    const listener = new Pipe();
    listener.bind(file, { mode });
    assert.equal(fs.statSync(file).mode & 0o777, expected);
    listener.destroy();
    await event(listener, 'close');
    assert.equal(fs.existsSync(file), false);
  }
  const listener = new Pipe();
  listener.bind(file, { keepFile: true });
  listener.destroy();
  await event(listener, 'close');
  fs.unlinkSync(file);
}));

test('open() takes over a descriptor', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file);
  assert.ok(Number.isInteger(client.fileno()));
  const other = new Pipe();
  assert.throws(() => other.fileno(), { code: 'EBADF', status: 'FER_EBADF', syscall: 'fileno' });
  assert.throws(() => other.open(1 << 20), { code: 'EBADF' });
  const regular = fs.openSync(`${file}.txt`, 'w');
  assert.throws(() => other.open(regular), { code: 'ENOTSOCK' });
  fs.closeSync(regular);
  fs.unlinkSync(`${file}.txt`);
  assert.throws(() => client.open(peer.fileno()), { code: 'EISCONN' });
  const child = spawn(process.execPath, [path.join(__dirname, 'fixtures', 'open.js')], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
  });
  const socket = child.stdio[3];
  const exit = once(child, 'exit');
  socket.end('there and back');
  assert.equal(await read(socket), 'there and back');
  assert.deepEqual(await exit, [0, null]);
  other.destroy();
  await event(other, 'close');
  await done();
}));

test('connecting fails with a name, and destroys the pipe', isolated(async ({ folder, path: file }) => {
  const missing = new Pipe();
  const closed = event(missing, 'close');
  await assert.rejects(missing.connect(file), { code: 'ENOENT', errno: -2, syscall: 'connect', status: 'FER_ENOENT', address: file });
  await closed;
  assert.equal(missing.destroyed, true);
  const late = new Pipe();
  await assert.rejects(late.connect(`${folder}/${'x'.repeat(300)}`), { code: 'ENAMETOOLONG' });
  const refused = new Pipe();
  const controller = new AbortController();
  controller.abort();
  await assert.rejects(refused.connect(file, { signal: controller.signal }), { name: 'AbortError' });
  assert.equal(refused.destroyed, true);
}));

test('a connect is ended by time, signal or destroy', isolated(async ({ path: file }) => {
  const listener = new Pipe();
  listener.bind(file).listen(() => listener.accept().destroy());
  // Timers are due before the loop looks at the connection.
  await turn();
  const late = new Pipe();
  const slow = late.connect(file, { timeout: 1 });
  for (const start = performance.now(); performance.now() - start < 5;);
  await assert.rejects(slow, { code: 'ETIMEDOUT', syscall: 'connect', address: file });
  assert.equal(late.destroyed, true);
  const controller = new AbortController();
  const aborted = new Pipe();
  const connecting = aborted.connect(file, { signal: controller.signal, timeout: 10_000 });
  controller.abort();
  await assert.rejects(connecting, { name: 'AbortError', code: 'ABORT_ERR' });
  const destroyed = new Pipe();
  const ended = destroyed.connect(file);
  const written = new Promise((resolve) => { destroyed.write('x', resolve); });
  destroyed.destroy();
  await assert.rejects(ended, { code: 'ECANCELED', status: 'FER_ECANCELED' });
  assert.ok((await written) instanceof Error);
  listener.destroy();
  await event(listener, 'close');
}));

test('a full backlog is waited for', isolated(async ({ path: file }) => {
  const listener = new Pipe();
  listener.bind(file).listen(1);
  const pipes = [];
  await assert.rejects(async () => {
    while (pipes.length < 10) {
      const pipe = new Pipe();
      await pipe.connect(file, { timeout: 100 });
      pipes.push(pipe);
    }
  }, { code: 'ETIMEDOUT', syscall: 'connect', address: file });
  assert.ok(pipes.length > 0);
  const waiting = new Pipe();
  const connected = waiting.connect(file);
  pipes.push(waiting, listener.accept());
  await connected;
  assert.equal(waiting.getpeername(), file);
  const cancelled = new Pipe();
  const ended = cancelled.connect(file);
  await turn(2);
  cancelled.destroy();
  await assert.rejects(ended, { code: 'ECANCELED', syscall: 'connect' });
  const open = [...pipes, listener];
  for (const pipe of open) pipe.destroy();
  await Promise.all(open.map((pipe) => event(pipe, 'close')));
}));

test('wrong order of calls', isolated(async ({ path: file }) => {
  const pipe = new Pipe();
  assert.throws(() => pipe.listen(), { code: 'EDESTADDRREQ', syscall: 'listen' });
  assert.throws(() => pipe.accept(), Error);
  assert.throws(() => pipe.tryWrite('x'), { code: 'ENOTCONN', syscall: 'write' });
  assert.throws(() => pipe.getpeername(), Error);
  pipe.bind(file);
  assert.throws(() => pipe.bind(file), { code: 'EINVAL' });
  pipe.listen();
  assert.throws(() => pipe.listen(), { code: 'EALREADY' });
  assert.throws(() => pipe.accept(), { code: 'EAGAIN', syscall: 'accept' });
  await assert.rejects(pipe.connect(file), (error) => error.code === 'EISCONN' || error.code === 'EINVAL');
  const second = new Pipe();
  assert.throws(() => second.bind(file), { code: 'EADDRINUSE', address: file });
  assert.throws(() => second.bind(''), { code: 'EINVAL' });
  assert.throws(() => second.bind('/x\0y'), { code: 'EINVAL' });
  for (const wrong of [undefined, null, 7, {}]) assert.throws(() => second.bind(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  for (const wrong of [-1, 1.5, 2 ** 31]) {
    assert.throws(() => second.listen(wrong), { code: 'ERR_OUT_OF_RANGE' });
    assert.throws(() => second.open(wrong), { code: 'ERR_OUT_OF_RANGE' });
  }
  assert.throws(() => second.open(), { code: 'EBADF' });
  assert.throws(() => second.bind(file, { mode: 0o1000 }), { code: 'ERR_OUT_OF_RANGE' });
  const writing = event(second, 'error');
  second.write('x');
  assert.equal((await writing).code, 'ENOTCONN');
  if (!pipe.destroyed) pipe.destroy();
  await turn(3);
}));

test('calls after destroy', isolated(async ({ path: file }) => {
  const { client, done } = await pair(file);
  client.destroy();
  client.destroy();
  await event(client, 'close');
  const error = { code: 'ERR_FERRULE_CLOSED', status: 'FER_ECLOSED' };
  assert.throws(() => client.bind(file), error);
  assert.throws(() => client.listen(), error);
  assert.throws(() => client.accept(), error);
  assert.throws(() => client.fileno(), error);
  assert.throws(() => client.tryWrite('x'), error);
  assert.throws(() => client.getsockname(), error);
  await assert.rejects(client.connect(file), error);
  assert.equal(client.writeQueueSize, 0);
  client.ref().unref();
  client.write('x', (cause) => assert.equal(cause.code, 'ERR_STREAM_DESTROYED'));
  await done();
}));

test('a peer that is gone', isolated(async ({ path: file }) => {
  const { client, peer, done } = await pair(file);
  client.write('unread');
  await turn();
  // Bytes that nobody read: the kernel tells the other side.
  peer.destroy();
  const closed = event(client, 'close');
  const error = await event(client.resume(), 'error');
  assert.match(error.code, /^(ECONNRESET|EPIPE)$/);
  assert.match(error.syscall, /^(read|write)$/);
  await closed;
  await done();
}));

test('destroying with a write under way', isolated(async ({ path: file }) => {
  const { client, done } = await pair(file);
  const results = [];
  client.write(Buffer.alloc(20e6), (error) => results.push(error?.code));
  client.write('behind it', (error) => results.push(error?.code));
  await turn();
  assert.ok(client.writeQueueSize > 0);
  client.destroy();
  await event(client, 'close');
  await turn();
  assert.equal(results.length, 2);
  assert.ok(results.every((code) => code === 'ECANCELED' || code === 'ERR_STREAM_DESTROYED'), String(results));
  await done();
}));
