'use strict';

/** What callers can do wrong: each has an error with a name, and leaves nothing behind. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { closed, event, ferrule, isolated, package_, pair } = require('./helpers.js');

const { Channel, Pipe, Server, connect, listen } = ferrule;
const native = require(path.join(package_, 'lib', 'native.js'));

test('the addon refuses arguments of the wrong kind', isolated(async ({ address }) => {
  const { client, done } = await pair(address);
  const pipe = new native.Pipe();
  pipe.init();
  const channel = new native.Channel();
  const server = new native.Server();
  const options = new Float64Array(11);
  const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  const calls = [
    () => pipe.bind(7, 0, 0), () => pipe.bind('x', 'y', 0), () => pipe.bind('x', 0, 1.5), () => pipe.bind('x', 0, NaN),
    () => pipe.bind([Buffer.from('x')].concat(Buffer.from('y')), 0, 0), () => pipe.listen(2 ** 31), () => pipe.listen(),
    () => pipe.accept(), () => pipe.accept({}), () => pipe.accept(channel), () => pipe.connect(), () => pipe.connect(null),
    () => pipe.open('1'), () => pipe.write(), () => pipe.write(1), () => pipe.write([1]), () => pipe.write(new Uint16Array(2)),
    () => pipe.tryWrite({}), () => pipe.name('peer'), () => pipe.hold(1),
    () => channel.connect('pipe:x'), () => channel.connect('pipe:x', []), () => channel.connect(7, options),
    () => channel.connect('pipe:x', new Float64Array(7)), () => channel.connect('pipe:x', new Float32Array(11)),
    () => channel.send(), () => channel.send(7),
    () => channel.pass('x'), () => channel.pass('x', [1]), () => channel.pass('x', new Int32Array(65)),
    () => channel.pass(7, new Int32Array(1)), () => channel.deliver(), () => channel.deliver(undefined, '1', 1),
    () => channel.deliver(undefined, 0, true), () => channel.deliver(undefined, 1, 1), () => channel.deliver(new Uint8Array(20_000), 1, 1),
    () => channel.deliver(new ArrayBuffer(16_383), 1, 1), () => channel.deliver(new ArrayBuffer(20_000), 4097, 1),
    () => channel.deliver(new Uint32Array(5000).fill(1).buffer, 3617, 1),
    () => channel.pair(), () => channel.pair({}, options), () => channel.pair(pipe, options), () => channel.pair(server, []),
    () => native.receivedFd(), () => native.receivedFd({}), () => native.receivedClose(channel), () => native.receivedRelease(7),
    () => channel.info(), () => channel.info(new Float64Array(3)), () => channel.hold(),
    () => server.listen(7, options), () => server.listen('pipe:x', {}), () => server.take(), () => server.take(pipe),
    () => server.hold('yes'), () => server.limits(), () => server.limits(1, '2'), () => server.allow(), () => server.allow('any'),
    () => channel.connect('pipe:x', options, 'secret'), () => channel.connect('pipe:x', options, null),
    () => channel.parent(), () => channel.parent(options, new Uint16Array(2)), () => server.listen('pipe:x', options, []),
    () => channel.stats(), () => channel.stats(new Float64Array(7)), () => native.activationAddress(7, 0),
    () => native.activationAddress('x', '0'),
    () => native.register(), () => native.register('pipeRead', 7), () => native.register(7, () => {}),
  ];
  for (const call of calls) assert.throws(call, wrong, String(call));
  assert.throws(() => channel.connect('pipe:x', options.map(() => NaN)), { code: 'ERR_OUT_OF_RANGE' });
  assert.throws(() => native.register('nothing', () => {}), { code: 'ERR_INVALID_ARG_VALUE' });
  // Nothing was opened by any of them.
  const inval = native.statuses.FER_EINVAL.status;
  assert.equal(channel.close(), inval);
  assert.equal(server.close(), inval);
  assert.equal(server.take(channel), native.statuses.FER_EAGAIN.status);
  for (const status of [channel.stats(new Float64Array(8)), channel.credentials(), server.limits(0, 0), server.allow(true)]) {
    assert.equal(status, inval);
  }
  assert.equal(server.limits(-1, 0), inval);
  assert.equal(native.activationAddress(undefined, -1), inval);
  assert.equal(server.count(), 0);
  assert.equal(pipe.listen(5), native.statuses.FER_EDESTADDRREQ.status);
  await done();
}));

test('methods called on another kind of object', isolated(async ({ address }) => {
  const { client, server, done } = await pair(address);
  const pipe = new Pipe();
  for (const other of [{}, client, server, new net.Socket()]) {
    for (const method of ['bind', 'listen', 'accept', 'open', 'fileno', 'tryWrite', 'getsockname', 'ref', 'unref']) {
      assert.throws(() => Pipe.prototype[method].call(other, 'x'), TypeError, method);
    }
    assert.throws(() => Pipe.prototype._write.call(other, Buffer.from('x'), 'buffer', () => {}), TypeError);
    await assert.rejects(Pipe.prototype.connect.call(other, '/x'), TypeError);
  }
  assert.throws(() => Pipe.prototype.write.call(client, 'x'), TypeError);
  assert.throws(() => Pipe.prototype.write.call({}, 'x'), TypeError);
  for (const other of [{}, pipe, server]) {
    for (const method of ['send', 'pause', 'resume', 'isPaused', 'abort', 'ref', 'unref']) {
      assert.throws(() => Channel.prototype[method].call(other, 'x'), TypeError, method);
    }
    await assert.rejects(async () => Channel.prototype.close.call(other), TypeError);
    await assert.rejects(Channel.prototype.receive.call(other), TypeError);
  }
  await assert.rejects(async () => Server.prototype.close.call(client), TypeError);
  assert.throws(() => pipe.accept({}), { code: 'ERR_INVALID_ARG_TYPE' });
  pipe.destroy();
  await event(pipe, 'close');
  await done();
}));

test('channels and servers are not made by hand', isolated(async () => {
  assert.throws(() => new Channel(), { name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
  assert.throws(() => new Server(), { name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
}));

test('arguments of the wrong type', isolated(async ({ address }) => {
  const type = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  const range = { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' };
  for (const wrong of [undefined, null, 7, {}, Buffer.from(address)]) {
    await assert.rejects(connect(wrong), type);
    await assert.rejects(listen(wrong, () => {}), type);
  }
  for (const wrong of [null, 7, 'text']) await assert.rejects(connect(address, wrong), type);
  for (const wrong of [null, 7, {}]) await assert.rejects(listen(address, {}, wrong), type);
  for (const name of ['timeout', 'handshakeTimeout', 'closeTimeout', 'frameTimeout', 'maxMessage', 'highWater', 'hardCap']) {
    for (const wrong of ['7', null, {}]) await assert.rejects(connect(address, { [name]: wrong }), type, name);
    for (const wrong of [-1, 0, 1.5, NaN, -Infinity, 2 ** 53]) {
      await assert.rejects(connect(address, { [name]: wrong }), range, name);
    }
  }
  await assert.rejects(connect(address, { maxMessage: 2 ** 32 }), range);
  for (const wrong of ['7', null, {}, true]) await assert.rejects(connect(address, { busyPoll: wrong }), type);
  for (const wrong of [-1, -0.001, 1.001, NaN, Infinity]) await assert.rejects(connect(address, { busyPoll: wrong }), range);
  for (const wrong of [-1, 65, 1.5, NaN]) await assert.rejects(connect(address, { maxHandles: wrong }), range);
  for (const wrong of ['7', null, {}]) await assert.rejects(connect(address, { maxHandles: wrong }), type);
  for (const wrong of [1, 'yes', null]) await assert.rejects(connect(address, { anyHost: wrong }), type);
  await assert.rejects(connect(address, { wire: 'copper' }), { code: 'ERR_INVALID_ARG_VALUE' });
  for (const wrong of [null, 7, {}]) await assert.rejects(connect(address, { signal: wrong }), type);
}));

test('data that cannot be sent', isolated(async ({ address }) => {
  const { client, peer, done } = await pair(address);
  for (const wrong of [undefined, null, 7, true, {}, [7], [null], ['x', undefined], Symbol('x'), () => {}]) {
    await assert.rejects(client.send(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    assert.throws(() => client.trySend(wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const wrong of [null, 7, 'text', Symbol('x'), () => {}]) {
    await assert.rejects(client.send('x', wrong), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  // Memory that was given away: empty, but not an empty message.
  for (const size of [10, 100_000]) {
    const gone = new Uint8Array(size);
    const view = new DataView(gone.buffer);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    // Also behind another, where small ones gather.
    for (const before of ['x', undefined]) {
      if (before !== undefined) client.send(before);
      const given = { name: 'TypeError', code: 'ERR_INVALID_STATE', message: 'the memory of data was given away, or has shrunk' };
      for (const data of [gone, [gone], gone.buffer, [gone.buffer], view]) {
        await assert.rejects(client.send(data), given);
        assert.throws(() => client.trySend(data), given);
      }
    }
    assert.equal(String(await peer.receive()), 'x');
  }
  client.send('whole');
  assert.equal(String(await peer.receive()), 'whole');
  await done();
}));

test('memory that can shrink is copied', isolated(async ({ address }) => {
  const buffer = new ArrayBuffer(3_000_000, { maxByteLength: 4_000_000 });
  const { client, peer, done } = await pair(address);
  client.send(new Uint8Array(buffer).fill(7));
  if (buffer.resizable) buffer.resize(0);
  const message = await peer.receive();
  assert.equal(message.length, 3_000_000);
  assert.ok(message.every((byte) => byte === 7));
  await done();
}));

test('a malformed address', isolated(async ({ folder }) => {
  const malformed = [
    '', 'x', 'pipe', 'pipe:', 'PIPE:/x', 'pipe:a/b', 'pipe:.x', 'pipe:@', 'pipe:/x\0y', `pipe:${'x'.repeat(65)}`,
    'tcp:', 'tcp:127.0.0.1', 'tcp:127.0.0.1:x', 'tcp:127.0.0.1:65536', 'tcp:example.org:1',
    'fifo:/x', 'fifo:x,y', 'fd:', 'fd:x', 'fd:-1',
  ];
  for (const address of malformed) {
    const error = { code: 'ERR_FERRULE_ADDRESS', status: 'FER_EADDRESS' };
    await assert.rejects(connect(address), error, address);
    await assert.rejects(listen(address, () => {}), error, address);
  }
  await assert.rejects(connect('nonsense'), /nonsense/);
  assert.deepEqual(fs.readdirSync(folder), []);
}));

test('nobody listening, until the time is up', isolated(async ({ address, path: file }) => {
  await assert.rejects(connect(address, { timeout: 30 }), { code: 'ENOENT', syscall: 'connect', status: 'FER_ENOENT', address });
  const server = net.createServer().listen(file);
  await event(server, 'listening');
  // A socket file that nobody listens on.
  fs.linkSync(file, `${file}.kept`);
  server.close();
  await event(server, 'close');
  fs.renameSync(`${file}.kept`, file);
  await assert.rejects(connect(address, { timeout: 30 }), { code: 'ECONNREFUSED', errno: -111, status: 'FER_ECONNREFUSED' });
  fs.unlinkSync(file);
}));

test('nobody listening, until it is aborted', isolated(async ({ address }) => {
  const controller = new AbortController();
  const connecting = connect(address, { signal: controller.signal, timeout: Infinity });
  const reason = new Error('enough');
  setImmediate(() => controller.abort(reason));
  await assert.rejects(connecting, { name: 'AbortError', code: 'ABORT_ERR', cause: reason });
  await assert.rejects(connect(address, { signal: controller.signal }), { name: 'AbortError' });
  await assert.rejects(listen(address, { signal: controller.signal }, () => {}), { name: 'AbortError' });
}));

test('somebody listens in the end', isolated(async ({ address }) => {
  const connecting = connect(address);
  const server = await listen(address, (channel) => channel.resume());
  const channel = await connecting;
  await channel.close();
  await server.close();
}));

test('aborting a server closes it', isolated(async ({ address }) => {
  const controller = new AbortController();
  const server = await listen(address, { signal: controller.signal }, () => {});
  const over = event(server, 'close');
  controller.abort();
  await over;
  await server.close();
  const other = new AbortController();
  const second = await listen(address, { signal: other.signal }, () => {});
  await second.close();
  other.abort();
}));

test('a path that cannot be bound', isolated(async ({ folder, address, path: file }) => {
  await assert.rejects(listen(`pipe:${folder}/no/such`, () => {}), { code: 'ENOENT', syscall: 'listen', status: 'FER_ENOENT' });
  fs.writeFileSync(file, 'not a socket');
  await assert.rejects(listen(address, () => {}), { code: 'EADDRINUSE', status: 'FER_EADDRINUSE', address });
  await assert.rejects(listen(`${address}/x`, () => {}), { code: 'ENOTDIR' });
  assert.equal(fs.readFileSync(file, 'utf8'), 'not a socket');
  fs.unlinkSync(file);
  const server = await listen(address, () => {});
  assert.equal(fs.statSync(file).mode & 0o777, 0o600);
  await assert.rejects(listen(address, () => {}), { code: 'EADDRINUSE' });
  await server.close();
  assert.equal(fs.existsSync(file), false);
}));

test('calls after close', isolated(async ({ address }) => {
  const { client, peer, server } = await pair(address);
  peer.resume();
  await client.close();
  const error = { code: 'ERR_FERRULE_CLOSED', status: 'FER_ECLOSED' };
  await assert.rejects(client.send('x'), error);
  await assert.rejects(client.flush(), error);
  assert.throws(() => client.trySend('x'), error);
  assert.throws(() => client.info, error);
  assert.equal(await client.receive(), null);
  for await (const message of client) assert.fail(message);
  client.on('message', assert.fail).pause().resume().ref().unref();
  assert.equal(client.writable, false);
  client.abort();
  await client.close();
  await closed(peer);
  await server.close();
  await server.close();
  server.ref().unref();
}));
