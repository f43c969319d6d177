'use strict';

/** The rendezvous: both sides, both transports, and everything that can go wrong between them. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { event, ferrule, isolated, run, turn } = require('./helpers.js');

const { IpcChannel, IpcChannelClient, makeIpcChannel, makeIpcChannelClient } = ferrule;
const transports = ['fifo', 'tcp'];

/** Both sides, connected. */
async function meet(transport) {
  const channel = makeIpcChannel({ transport });
  const client = makeIpcChannelClient(channel.outPath, channel.inPath);
  assert.deepEqual(await Promise.all([channel.connect(), client.connect()]), [true, true]);
  return { channel, client };
}

/** A frame of the plain wire. */
function frame(text) {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(Buffer.byteLength(text));
  return Buffer.concat([header, Buffer.from(text)]);
}

for (const transport of transports) {
  test(`${transport}: messages both ways, and the end`, isolated(async () => {
    const { channel, client } = await meet(transport);
    for (const size of [1, 4, 4095, 4096, 4097, 65531, 65532, 65533, 65537, 219263, 1 << 20, 5_000_000]) {
      const message = Buffer.alloc(size, size & 255);
      const [, there] = await Promise.all([channel.write(message), client.read()]);
      assert.ok(there.equals(message), `${size} bytes`);
      const [, back] = await Promise.all([client.write([message.subarray(0, 1), message.subarray(1)]), channel.read()]);
      assert.ok(back.equals(message), `${size} bytes back`);
    }
    await client.write('last');
    const closing = client.close();
    assert.equal(String(await channel.read()), 'last');
    assert.equal(await channel.read(), null);
    assert.equal(await channel.read(), null);
    await Promise.all([closing, channel.close()]);
    await client.close();
    await channel.close();
    for (const side of [client, channel]) {
      await assert.rejects(side.read(), { code: 'ENOTCONN', syscall: 'read' });
      await assert.rejects(side.write('x'), { code: 'ENOTCONN', syscall: 'write' });
      await assert.rejects(side.connect(), { code: 'ERR_FERRULE_CLOSED' });
    }
  }));

  test(`${transport}: nobody comes, then somebody does`, isolated(async () => {
    const channel = makeIpcChannel({ transport });
    assert.equal(await channel.connect(20), false);
    assert.equal(await channel.connect({ timeout: 20 }), false);
    await assert.rejects(channel.read(), { code: 'ENOTCONN' });
    const client = makeIpcChannelClient(channel.outPath, channel.inPath);
    const coming = client.connect();
    assert.equal(await channel.connect(), true);
    assert.equal(await coming, true);
    await assert.rejects(channel.connect(), { code: 'EISCONN' });
    await assert.rejects(client.connect(), { code: 'EISCONN' });
    await client.write('after all');
    assert.equal(String(await channel.read()), 'after all');
    await Promise.all([client.close(), channel.close()]);
  }));

  test(`${transport}: a client whose channel is not there`, isolated(async ({ folder }) => {
    const gone = makeIpcChannel({ transport });
    await gone.close();
    const client = makeIpcChannelClient(gone.outPath, gone.inPath);
    assert.equal(await client.connect(20), false);
    assert.equal(await client.connect(20), false);
    await client.close();
    assert.deepEqual(fs.readdirSync(folder), []);
  }));

  test(`${transport}: a connect that is aborted, or cut off by close()`, isolated(async () => {
    const channel = makeIpcChannel({ transport });
    const controller = new AbortController();
    const connecting = channel.connect({ signal: controller.signal, timeout: Infinity });
    await assert.rejects(channel.connect(), { code: 'EALREADY' });
    controller.abort(new Error('enough'));
    await assert.rejects(connecting, { name: 'AbortError', cause: controller.signal.reason });
    await assert.rejects(channel.connect({ signal: controller.signal }), { name: 'AbortError' });
    const client = makeIpcChannelClient(channel.outPath, channel.inPath);
    const again = channel.connect();
    const cut = transport === 'fifo' ? makeIpcChannelClient(channel.inPath, channel.outPath) : null;
    await Promise.all([assert.rejects(again, { code: 'ECANCELED' }), channel.close()]);
    assert.equal(await client.connect(20), false);
    await client.close();
    await cut?.close();
  }));

  test(`${transport}: empty messages are refused, and a read can be given up`, isolated(async () => {
    const { channel, client } = await meet(transport);
    await assert.rejects(client.write(''), { code: 'EINVAL' });
    await assert.rejects(client.write(7), { code: 'ERR_INVALID_ARG_TYPE' });
    await assert.rejects(channel.read({ timeout: 1 }), { code: 'ETIMEDOUT' });
    const controller = new AbortController();
    const reading = channel.read({ signal: controller.signal });
    controller.abort();
    await assert.rejects(reading, { name: 'AbortError' });
    await client.write('kept');
    assert.equal(String(await channel.read()), 'kept');
    const pending = channel.read();
    await Promise.all([channel.close(), client.close()]);
    assert.equal(await pending, null);
  }));

  test(`${transport}: a peer that does not answer the goodbye`, isolated(async () => {
    const { channel, client } = await meet(transport);
    await client.write('x');
    // It never reads, so it never sees the goodbye.
    await channel.close();
    assert.equal(await client.read(), null);
    await client.close();
  }));

  test(`${transport}: a peer that does not take everything`, isolated(async () => {
    const { channel, client } = await meet(transport);
    const writing = client.write(Buffer.alloc(30_000_000));
    await Promise.all([
      assert.rejects(writing, { code: 'ECANCELED' }),
      assert.rejects(client.close(), (error) => error.code === 'ETIMEDOUT' && error.unsent > 0),
    ]);
    await assert.rejects(channel.read(), { code: 'ECONNRESET' });
    await channel.close();
  }));

  test(`${transport}: a channel that nobody connects, though a client came`, isolated(async () => {
    const channel = makeIpcChannel({ transport });
    const client = makeIpcChannelClient(channel.outPath, channel.inPath);
    const coming = client.connect();
    assert.equal(await coming, true);
    await channel.close();
    assert.equal(await client.read(), null);
    await client.close();
  }));
}

test('the FIFOs are private, and go with the channel', isolated(async () => {
  const channels = [makeIpcChannel(), makeIpcChannel({ transport: 'fifo' })];
  const places = channels.flatMap(({ inPath, outPath }) => [inPath, outPath]);
  assert.equal(new Set(places).size, 4);
  for (const place of places) {
    const { mode } = fs.statSync(place);
    assert.ok(fs.statSync(place).isFIFO());
    assert.equal(mode & 0o777, 0o600);
    assert.equal(fs.statSync(path.dirname(place)).mode & 0o777, 0o700);
  }
  for (const channel of channels) await channel.close();
  for (const place of places) assert.equal(fs.existsSync(path.dirname(place)), false);
}));

test('several at once, and one after the other', isolated(async () => {
  for (let round = 0; round < 3; round += 1) {
    const sides = await Promise.all([...transports, ...transports].map(meet));
    await Promise.all(sides.map(({ channel }, i) => channel.write(`message ${i}`)));
    const got = await Promise.all(sides.map(({ client }) => client.read()));
    assert.deepEqual(got.map(String), sides.map((_, i) => `message ${i}`));
    await Promise.all(sides.flatMap(({ channel, client }) => [channel.close(), client.close()]));
  }
}));

test('over TCP exactly one peer is served', isolated(async () => {
  const channel = makeIpcChannel({ transport: 'tcp' });
  assert.equal(channel.inPath, channel.outPath);
  const port = Number(channel.inPath);
  // The port is bound from the start.
  const thief = net.createServer().listen(port, '127.0.0.1');
  assert.equal((await event(thief, 'error')).code, 'EADDRINUSE');
  const sockets = Array.from({ length: 5 }, () => net.connect(port, '127.0.0.1'));
  const ends = sockets.map((socket) => {
    socket.on('error', () => {});
    socket.resume();
    return event(socket, 'close');
  });
  assert.equal(await channel.connect(), true);
  // All but one are turned away.
  let open = sockets.length;
  for (const end of ends) end.then(() => { open -= 1; });
  while (open > 1) await turn();
  const [served] = sockets.filter((socket) => !socket.destroyed && !socket.readableEnded);
  served.write(frame('the one'));
  assert.equal(String(await channel.read()), 'the one');
  const late = net.connect(port, '127.0.0.1');
  assert.equal((await event(late, 'error')).code, 'ECONNREFUSED');
  served.end(frame(''));
  assert.equal(await channel.read(), null);
  await channel.close();
  await Promise.all(ends);
}));

test('a peer that is cut off inside a message', isolated(async () => {
  const channel = makeIpcChannel({ transport: 'tcp' });
  const socket = net.connect(Number(channel.inPath), '127.0.0.1');
  assert.equal(await channel.connect(), true);
  const gone = event(socket.resume(), 'close');
  socket.end(Buffer.concat([frame('whole'), frame('half of it').subarray(0, 8)]));
  assert.equal(String(await channel.read()), 'whole');
  await assert.rejects(channel.read(), { code: 'ECONNRESET' });
  assert.equal(await channel.read(), null);
  await channel.close();
  await gone;
}));

test('HOST:PORT, and addresses that are none', isolated(async () => {
  const channel = makeIpcChannel({ transport: 'tcp' });
  const client = makeIpcChannelClient(`127.0.0.1:${channel.inPath}`, '');
  assert.deepEqual(await Promise.all([channel.connect(), client.connect()]), [true, true]);
  await Promise.all([channel.close(), client.close()]);
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const wrong of [undefined, null, 7, {}]) {
    assert.throws(() => makeIpcChannelClient(wrong, '/x'), type);
    assert.throws(() => makeIpcChannelClient('/x', wrong), type);
  }
  for (const [inPath, outPath] of [['x', 'y'], ['/x', 'y'], ['/x,y', '/z'], ['70000', ''], ['', ''], ['/x\0', '/y']]) {
    assert.throws(() => makeIpcChannelClient(inPath, outPath), { code: 'ERR_FERRULE_ADDRESS' });
  }
  assert.throws(() => makeIpcChannel({ transport: 'pipe' }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => makeIpcChannel(null), type);
  for (const Class of [IpcChannel, IpcChannelClient]) assert.throws(() => new Class(), { code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  const lone = makeIpcChannelClient('/nowhere/in', '/nowhere/out');
  for (const wrong of [0, -1, 1.5, NaN]) await assert.rejects(lone.connect(wrong), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(lone.connect('soon'), type);
  await assert.rejects(lone.connect({ signal: 7 }), type);
  await lone[Symbol.asyncDispose]();
}));

test('files in the place of the FIFOs', isolated(async ({ folder }) => {
  fs.writeFileSync(`${folder}/in`, 'keep me');
  fs.writeFileSync(`${folder}/out`, '');
  const client = makeIpcChannelClient(`${folder}/in`, `${folder}/out`);
  await assert.rejects(client.connect(1000), { code: 'EPROTOTYPE' });
  assert.equal(fs.readFileSync(`${folder}/in`, 'utf8'), 'keep me');
  await client.close();
  fs.unlinkSync(`${folder}/in`);
  fs.unlinkSync(`${folder}/out`);
}));

test('a channel that is not connected does not keep Node, and nothing is left of it', isolated(async ({ folder }) => {
  for (const how of ['leave', 'exit', 'connected']) {
    const { code, stdout, stderr } = await run('ipc_exit.js', [how], { env: { XDG_RUNTIME_DIR: folder } });
    assert.equal(stderr, '');
    assert.equal(code, 0);
    const place = stdout.trim();
    assert.ok(place.startsWith(folder));
    assert.equal(fs.existsSync(path.dirname(place)), false, how);
    fs.rmSync(path.join(folder, 'ferrule'), { recursive: true });
  }
}));
