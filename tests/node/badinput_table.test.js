'use strict';

/** Bad input by tables: every method of every class on every other object, and every kind of memory wherever data is taken. */

const assert = require('node:assert/strict');
const { EventEmitter, once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { Duplex, Readable, Stream } = require('node:stream');
const { test } = require('node:test');
const { abortAll, event, ferrule, isolated, package_, pair } = require('./helpers.js');

const native = require(path.join(package_, 'lib', 'native.js'));
const { Pipe, TCP, UDP } = ferrule;
const HOST = '127.0.0.1';

/** Where the classes of Node begin. */
const nodes = new Set([Object, EventEmitter, Stream, Readable, Duplex].map((Class) => Class.prototype));

/** Every function of the prototypes of a class: [what it is called, function]. What starts with _ is the streams' business. */
function members(Class) {
  const found = [];
  for (let { prototype } = Class; !nodes.has(prototype); prototype = Object.getPrototypeOf(prototype)) {
    for (const key of Reflect.ownKeys(prototype)) {
      const name = String(key.description ?? key);
      if (name === 'constructor' || name.startsWith('_')) continue;
      const { value, get, set } = Object.getOwnPropertyDescriptor(prototype, key);
      for (const [kind, member] of Object.entries({ '': value, 'get ': get, 'set ': set })) {
        if (typeof member === 'function') found.push([`${kind}${name}`, member]);
      }
    }
  }
  return found;
}

/** Arguments with which a method would go on to use its object. */
const ARGUMENTS = {
  accept: () => [new Pipe().unref()],
  addListener: () => ['message', () => {}],
  addMembership: () => ['224.0.0.1'],
  bind: (Class) => (Class === Pipe ? ['/nowhere/x'] : [HOST, 0]),
  chmod: () => [0o600],
  connect: (Class) => (Class === Pipe ? ['/nowhere/x'] : [1]),
  dropMembership: () => ['224.0.0.1'],
  off: () => ['message', () => {}],
  on: () => ['message', () => {}],
  open: () => [0],
  pendingInstances: () => [1],
  prependListener: () => ['message', () => {}],
  removeAllListeners: () => ['message'],
  removeListener: () => ['message', () => {}],
  send: (Class) => (Class === UDP ? ['x', 1] : ['x']),
  sendMany: () => [['x']],
  setMulticastTTL: () => [1],
  setTTL: () => [1],
  setTimeout: () => [1],
  'set receiveBufferSize': () => [1000],
  'set sendBufferSize': () => [1000],
  tryWrite: () => ['x'],
  trySend: (Class) => (Class === UDP ? ['x', 1] : ['x']),
  write: () => ['x'],
  writeHandle: () => ['x', 0],
};

/** What only uses the other object's own public members, or none: as Node's own streams, it asks nobody who they are. */
const GENERIC = ['setNoDelay', 'setKeepAlive', 'get readyState', 'destroySoon', 'end', 'write'];
/** What calls another method of the same object, which asks. */
const RELAYS = ['addListener', 'off', 'recv', 'recvMessage', 'nodejs.asyncDispose', 'Symbol.asyncDispose', 'nodejs.dispose', 'Symbol.dispose'];

const strangers = {
  'undefined': () => undefined,
  'null': () => null,
  'a number': () => 7,
  'a string': () => 'text',
  'a function': () => () => {},
  'an object': () => ({}),
  'what only has the prototype': (Class) => Object.create(Class.prototype),
  'an emitter': () => new EventEmitter(),
  'a Buffer': () => Buffer.alloc(8),
  'a net.Socket': () => new net.Socket().on('error', () => {}),
  'a net.Server': () => new net.Server(),
};

/** How a call ended: what it threw, or was rejected with; undefined when it did not fail. */
async function failure(call) {
  try {
    await call();
    return undefined;
  } catch (error) {
    return error;
  }
}

/** One of each class. */
async function specimens(address) {
  const [channel, peer] = await ferrule.pair({ maxHandles: 1 });
  await peer.send('x', { handles: [0] });
  const { handles: [handle] } = await channel.recvMessage();
  const child = await ferrule.spawn(process.execPath, ['-e', `
    require(${JSON.stringify(package_)}).parent().then(async (channel) => { while (await channel.receive() !== null); });
  `], { timeout: 60_000 });
  const objects = {
    Channel: channel,
    Child: child,
    IpcChannel: ferrule.makeIpcChannel(),
    IpcChannelClient: ferrule.makeIpcChannelClient('1', '1'),
    Pipe: new Pipe(),
    ReceivedHandle: handle,
    Server: await ferrule.listen(address, () => {}),
    TCP: new TCP(),
    UDP: new UDP(),
  };
  const done = async () => {
    await abortAll(channel, peer);
    handle.close();
    await Promise.all([child.close(), objects.IpcChannel.close(), objects.IpcChannelClient.close(), objects.Server.close()]);
    for (const stream of [objects.Pipe, objects.TCP]) {
      stream.destroy();
      await event(stream, 'close');
    }
    objects.UDP.close();
    await event(objects.UDP, 'close');
  };
  return { objects, done };
}

/** Pipe and TCP are Streams, and these and UDP are Handles: what they share works on all of them. */
const handles = new Set(['Pipe', 'TCP', 'UDP']);

test('every method of every class refuses every other object', isolated(async ({ address }) => {
  const { objects, done } = await specimens(address);
  const classes = Object.entries(ferrule).filter(([name]) => /^[A-Z]/.test(name));
  assert.deepEqual(classes.map(([name]) => name).sort(), Object.keys(objects).sort());
  const generic = new Set();
  for (const [name, Class] of classes) {
    assert.ok(members(Class).length > 4, name);
    for (const [member, call] of members(Class)) {
      for (const [what, make] of Object.entries(strangers)) {
        const error = await failure(() => call.apply(make(Class), ARGUMENTS[member]?.(Class) ?? []));
        if (error === undefined) {
          generic.add(member);
          continue;
        }
        assert.ok(error instanceof TypeError, `${name} ${member} of ${what}: ${error.stack}`);
        if (GENERIC.includes(member)) continue;
        assert.notEqual(error.code, 'ERR_INVALID_ARG_TYPE', `${name} ${member} of ${what}: what is wrong is not an argument`);
      }
    }
  }
  assert.deepEqual([...generic].filter((member) => !RELAYS.includes(member)).sort(), [...GENERIC].sort());
  await done();
}));

test('every method of every class refuses the objects of the others', isolated(async ({ address }) => {
  const { objects, done } = await specimens(address);
  for (const [name, own] of Object.entries(objects)) {
    for (const [member, call] of members(own.constructor)) {
      if (GENERIC.includes(member) || RELAYS.includes(member)) continue;
      for (const [other, object] of Object.entries(objects)) {
        // A client is what the other side of a rendezvous is, too.
        const related = object instanceof own.constructor || name.startsWith('Ipc') && other.startsWith('Ipc');
        if (related || handles.has(name) && handles.has(other)) continue;

        const error = await failure(() => call.apply(object, ARGUMENTS[member]?.(own.constructor) ?? []));
        assert.ok(error instanceof TypeError, `${name} ${member} of a ${other}: ${error?.stack}`);
      }
    }
  }
  await done();
}));

test('every method of the addon refuses every other object', isolated(async () => {
  const classes = Object.entries(native).filter(([, value]) => typeof value === 'function' && /^class|native code/.test(String(value)))
    .filter(([name]) => /^[A-Z]/.test(name));
  assert.deepEqual(classes.map(([name]) => name).sort(), ['Channel', 'Pipe', 'Server', 'TCP', 'UDP']);
  const objects = Object.fromEntries(classes.map(([name, Class]) => [name, new Class()]));
  for (const [name, Class] of classes) {
    assert.throws(() => Class(), { name: 'TypeError', code: 'ERR_CONSTRUCT_CALL_REQUIRED' });
    const methods = Object.getOwnPropertyNames(Class.prototype).filter((method) => method !== 'constructor');
    assert.ok(methods.length > 5, name);
    for (const method of methods) {
      const others = Object.entries(objects).filter(([other]) => other !== name).map(([, object]) => () => object);
      for (const make of [...others, ...Object.values(strangers)]) {
        assert.throws(() => Class.prototype[method].call(make(Class)), { name: 'TypeError' }, `${name} ${method}`);
      }
    }
  }
  for (const [name, call] of Object.entries(native).filter(([key]) => key.startsWith('received'))) {
    for (const stranger of [...Object.values(objects), ...Object.values(strangers).map((make) => make(Object))]) {
      assert.throws(() => call(stranger), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }, name);
    }
  }
}));

/** Some bytes, no two of which next to each other are the same. */
function bytesOf(size) {
  return Uint8Array.from({ length: size }, (_, i) => (i * 7) % 251);
}

function filled(buffer) {
  new Uint8Array(buffer).set(bytesOf(buffer.byteLength));
  return buffer;
}

/** Whether this Node has buffers that can change their size. */
const resizable = new ArrayBuffer(1, { maxByteLength: 2 }).resizable === true;

/** Memory that can be sent: { data, after }, where after() changes it as soon as the call has returned. */
const memories = {
  'a Buffer': (size) => ({ data: Buffer.from(bytesOf(size)) }),
  'a Uint8Array in the middle': (size) => ({ data: new Uint8Array(filled(new ArrayBuffer(size + 8)), 0, size) }),
  'a Uint8ClampedArray': (size) => ({ data: new Uint8ClampedArray(filled(new ArrayBuffer(size))) }),
  'a Float64Array': (size) => ({ data: new Float64Array(filled(new ArrayBuffer(size))) }),
  'a BigInt64Array': (size) => ({ data: new BigInt64Array(filled(new ArrayBuffer(size))) }),
  'a DataView': (size) => ({ data: new DataView(filled(new ArrayBuffer(size))) }),
  'an ArrayBuffer': (size) => ({ data: filled(new ArrayBuffer(size)) }),
  'a SharedArrayBuffer, then changed': (size) => {
    const data = filled(new SharedArrayBuffer(size));
    return { data, after: () => new Uint8Array(data).fill(0) };
  },
  ...(resizable && {
    'a resizable ArrayBuffer, then empty': (size) => {
      const data = filled(new ArrayBuffer(size, { maxByteLength: 2 * size }));
      return { data, after: () => data.resize(0) };
    },
    'a view that follows its buffer, then larger': (size) => {
      const buffer = filled(new ArrayBuffer(size, { maxByteLength: 2 * size }));
      return { data: new Uint8Array(buffer), after: () => buffer.resize(2 * size) };
    },
    'a view of a part, then out of it': (size) => {
      const buffer = filled(new ArrayBuffer(size, { maxByteLength: 2 * size }));
      return { data: new Uint8Array(buffer, 0, size), after: () => buffer.resize(1) };
    },
    'a growable SharedArrayBuffer, then larger': (size) => {
      const data = filled(new SharedArrayBuffer(size, { maxByteLength: 2 * size }));
      return { data, after: () => data.grow(2 * size) };
    },
    'a view that follows a growable one': (size) => {
      const buffer = filled(new SharedArrayBuffer(size, { maxByteLength: 2 * size }));
      return { data: new Uint8Array(buffer), after: () => buffer.grow(2 * size) };
    },
  }),
};

function transferred(make) {
  const data = make();
  const buffer = data.buffer ?? data;
  structuredClone(buffer, { transfer: [buffer] });
  return data;
}

/** Memory that is not there any more. */
const gone = {
  'an ArrayBuffer that was transferred': () => transferred(() => new ArrayBuffer(16)),
  'a Buffer whose memory was transferred': () => transferred(() => Buffer.from(new ArrayBuffer(16))),
  'a Uint8Array whose memory was transferred': () => transferred(() => new Uint8Array(16)),
  'a DataView whose memory was transferred': () => transferred(() => new DataView(new ArrayBuffer(16))),
  'a Float64Array whose memory was transferred': () => transferred(() => new Float64Array(2)),
  ...(resizable && Object.fromEntries([Uint8Array, Float64Array, DataView].map((View) => [
    `a ${View.name} that does not fit into its memory any more`,
    () => {
      const buffer = new ArrayBuffer(32, { maxByteLength: 32 });
      const view = new View(buffer, 16, 16 / (View.BYTES_PER_ELEMENT ?? 1));
      buffer.resize(8);
      return view;
    },
  ]))),
};

/** What takes data: open(folder) gives put(data), the promise that it was taken; got(size), of what arrived; and done(). */
const sinks = {
  async 'channel.send'() {
    return overChannel((channel, data) => channel.send(data));
  },
  async 'channel.send, pieces'() {
    return overChannel((channel, data) => channel.send(['', data, Buffer.alloc(0)]));
  },
  async 'channel.send, with options'() {
    return overChannel((channel, data) => channel.send(data, { handles: [] }));
  },
  async 'channel.send, behind another'() {
    return overChannel((channel, data) => {
      channel.send('first');
      return channel.send(data);
    }, 'first');
  },
  async 'channel.trySend'() {
    return overChannel(async (channel, data) => channel.trySend(data));
  },
  async 'channel.sendMany'() {
    return overChannel((channel, data) => channel.sendMany([data]));
  },
  async 'channel.send, plain wire'(folder) {
    const { client, peer, done } = await pair(`pipe:${folder}/plain`, { wire: 'plain' });
    return { put: (data) => client.send(data), got: () => peer.receive(), done };
  },
  async 'ipc.write'() {
    const server = ferrule.makeIpcChannel();
    const client = ferrule.makeIpcChannelClient(server.outPath, server.inPath);
    await Promise.all([server.connect(), client.connect()]);
    return { put: (data) => client.write(data), got: () => server.read(), done: () => Promise.all([server.close(), client.close()]) };
  },
  async 'pipe.tryWrite'() {
    return overPipe(async (pipe, data) => pipe.tryWrite(data), 'all');
  },
  async 'pipe.write'() {
    return overPipe((pipe, data) => new Promise((resolve, reject) => {
      pipe.write(data, (error) => (error ? reject(error) : resolve()));
    }), 'Uint8Array');
  },
  async 'pipe.writeHandle'() {
    return overPipe((pipe, data) => new Promise((resolve, reject) => {
      pipe.writeHandle(data, 0, (error) => (error ? reject(error) : resolve()));
    }), 'all');
  },
  async 'udp.send'() {
    return overUdp((udp, data, port) => new Promise((resolve, reject) => {
      udp.send(data, port, (error) => (error ? reject(error) : resolve()));
    }));
  },
  async 'udp.trySend'() {
    return overUdp(async (udp, data, port) => udp.trySend(data, port));
  },
};

async function overChannel(put, before) {
  const [channel, peer] = await ferrule.pair();
  const got = async () => {
    if (before !== undefined) assert.equal(String(await peer.receive()), before);
    return peer.receive();
  };
  return { put: (data) => put(channel, data), got, done: () => abortAll(channel, peer) };
}

async function overPipe(put, takes) {
  const [pipe, peer] = Pipe.pair({ ipc: true });
  let came = Buffer.alloc(0);
  peer.on('handle', () => fs.closeSync(peer.acceptFd()));
  peer.on('data', (data) => { came = Buffer.concat([came, data]); });
  const got = async (size) => {
    while (came.length < size) await once(peer, 'data');
    const all = came;
    came = Buffer.alloc(0);
    return all;
  };
  const done = async () => {
    for (const one of [pipe, peer]) {
      if (one.closed) continue;
      one.on('error', () => {}).destroy();
      await event(one, 'close');
    }
  };
  return { put: (data) => put(pipe, data), got, done, takes };
}

async function overUdp(put) {
  const udp = new UDP().bind(HOST, 0);
  const peer = new UDP().bind(HOST, 0).startReceiving();
  const came = [];
  peer.on('message', (data) => came.push(data));
  const got = async () => {
    while (came.length === 0) await once(peer, 'message');
    return came.shift();
  };
  const done = async () => {
    for (const one of [udp, peer]) {
      one.close();
      await event(one, 'close');
    }
  };
  return { put: (data) => put(udp, data, peer.getsockname().port), got, done, most: 60_000 };
}

for (const [name, open] of Object.entries(sinks)) {
  test(`${name}: every kind of memory`, isolated(async ({ folder }) => {
    const { put, got, done, takes, most = Infinity } = await open(folder);
    for (const [what, make] of Object.entries(memories)) {
      for (const size of [16, 100_000]) {
        const { data, after } = make(Math.min(size, most));
        // Node's own streams take only these, in some versions.
        if (takes === 'Uint8Array' && !(data instanceof Uint8Array)) continue;
        const expected = bytesOf(Math.min(size, most));
        const put_ = put(data);
        after?.();
        await put_;
        const arrived = await got(expected.length);
        assert.deepEqual([what, arrived.length, arrived.equals(expected)], [what, expected.length, true]);
      }
    }
    await done();
  }));

  test(`${name}: memory that is gone`, isolated(async ({ folder }) => {
    for (const [what, make] of Object.entries(gone)) {
      const { put, done } = await open(folder);
      const error = await failure(() => put(make()));
      assert.ok(error instanceof TypeError || error?.code === 'EINVAL', `${what}: ${error?.stack}`);
      await done();
    }
  }));
}
