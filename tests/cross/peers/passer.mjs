/** The peer program in Node that passes handles. ../README.md describes its arguments and its output. */

import { once } from 'node:events';

import { Pipe, TCP, UDP } from '../../../bindings/node/lib/index.mjs';

const HOST = '127.0.0.1';

function say(line) {
  process.stdout.write(`${line}\n`);
}

/** All that comes up to the end of a stream. */
async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function expect(found, wanted) {
  if (found !== wanted) throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(wanted)}`);
}

async function expectServed(stream) {
  expect(await readAll(stream), 'served\n');
}

/** Two ends of a TCP connection. */
async function tcpPair() {
  const listener = new TCP().bind(HOST, 0).listen();
  const near = new TCP();
  const waits = once(listener, 'connection');
  await near.connect(listener.getsockname().port, HOST);
  await waits;
  const far = listener.accept();
  listener.destroy();
  return [near, far];
}

/** For each kind: the handle to pass, and how to prove that it arrived. The path is for one's own use. */
const kinds = {
  async 'tcp-connection'() {
    const [near, far] = await tcpPair();
    return [near, () => expectServed(far)];
  },
  async 'tcp-bound'() {
    const listener = new TCP().bind(HOST, 0);
    const { port } = listener.getsockname();
    return [listener, () => connectUntilServed(port)];
  },
  async 'tcp-listening'() {
    const listener = new TCP().bind(HOST, 0).listen();
    const { port } = listener.getsockname();
    return [listener, () => connectUntilServed(port)];
  },
  async udp() {
    const socket = new UDP().bind(HOST, 0);
    const { port } = socket.getsockname();
    return [socket, () => expectPong(port)];
  },
  async 'pipe-connection'() {
    const [near, far] = Pipe.pair();
    return [near, () => expectServed(far)];
  },
  async 'pipe-listener'(path) {
    const listener = new Pipe().bind(`${path}.passed`, { keepFile: true });
    return [listener, async () => {
      const pipe = new Pipe();
      await pipe.connect(`${path}.passed`);
      await expectServed(pipe);
    }];
  },
};

/** A socket that is bound only refuses, until who got it listens. */
async function connectUntilServed(port) {
  for (;;) {
    const tcp = new TCP();
    try {
      await tcp.connect(port, HOST);
    } catch (error) {
      if (error.code !== 'ECONNREFUSED') throw error;
      await new Promise((resolve) => { setImmediate(resolve); });
      continue;
    }
    await expectServed(tcp);
    return;
  }
}

async function expectPong(port) {
  const socket = new UDP().bind(HOST, 0);
  const answer = once(socket, 'message');
  socket.startReceiving().send('ping', port, HOST);
  const [data] = await answer;
  expect(data.toString(), 'pong');
  socket.close();
}

/** Pass a handle over a pipe; the receiver alone has it from then on. */
async function passOn(pipe, handle) {
  await new Promise((resolve, reject) => {
    pipe.writeHandle('h', handle, (error) => (error ? reject(error) : resolve()));
  });
  if (handle instanceof UDP) handle.close();
  else handle.destroy();
}

async function give(path, kind) {
  const pipe = new Pipe({ ipc: true });
  await pipe.connect(path);
  const [handle, prove] = await kinds[kind](path);
  await passOn(pipe, handle);
  await prove();
  say('ok');
  pipe.destroy();
}

function nameOf(handle) {
  if (handle instanceof UDP) return 'udp';
  return handle instanceof TCP ? 'tcp' : 'pipe';
}

/** Serve with a handle that arrived; it may be a listener. */
async function serve(handle) {
  if (handle instanceof UDP) {
    const message = once(handle, 'message');
    handle.startReceiving();
    const [data, { port, address }] = await message;
    expect(data.toString(), 'ping');
    await new Promise((resolve, reject) => {
      handle.send('pong', port, address, (error) => (error ? reject(error) : resolve()));
    });
    handle.close();
    return;
  }
  let stream = handle;
  if (!isConnection(handle)) {
    const waits = once(handle, 'connection');
    handle.listen();
    await waits;
    stream = handle.accept();
    handle.destroy();
  }
  stream.end('served\n');
  await once(stream, 'finish');
  stream.destroy();
}

function isConnection(handle) {
  try {
    handle.getpeername();
    return true;
  } catch (error) {
    if (error.code === 'ENOTCONN') return false;
    throw error;
  }
}

/** Wait for somebody who gives a handle. */
async function receive(path) {
  const listener = new Pipe().bind(path).listen();
  const waits = once(listener, 'connection');
  say('ready');
  await waits;
  const pipe = listener.accept(new Pipe({ ipc: true }));
  listener.destroy();
  const came = once(pipe, 'handle');
  pipe.resume();
  await came;
  const handle = pipe.accept();
  pipe.destroy();
  return handle;
}

async function take(path) {
  const handle = await receive(path);
  await serve(handle);
  say(`ok ${nameOf(handle)}`);
}

async function relay(path, onward) {
  const handle = await receive(path);
  const pipe = new Pipe({ ipc: true });
  await pipe.connect(onward);
  await passOn(pipe, handle);
  say(`ok ${nameOf(handle)}`);
  pipe.destroy();
}

const [action, path, last] = process.argv.slice(2);
if (action === 'give' && path !== undefined && Object.hasOwn(kinds, last)) {
  await give(path, last);
} else if (action === 'take' && path !== undefined && last === undefined) {
  await take(path);
} else if (action === 'relay' && last !== undefined) {
  await relay(path, last);
} else {
  process.stderr.write(`usage: passer.mjs give PATH ${Object.keys(kinds).join('|')}\n       passer.mjs take PATH\n`
    + '       passer.mjs relay PATH ONWARD\n');
  process.exitCode = 2;
}
