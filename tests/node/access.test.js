'use strict';

/** Whom a server serves, whom a client trusts, and who knows the secret. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { test } = require('node:test');
const { inspect } = require('node:util');
const { abortAll, addon, closed, event, ferrule, isolated, listenQueue, run, turn, ways } = require('./helpers.js');

const NOBODY = 65534;
const skip = process.getuid() === 0 ? false : 'only root can be another user';
const token = `ferrule-${process.pid}`;

async function until(condition) {
  while (!condition()) await turn();
}

/** A program that runs as another user, and prints one line for each line that it is told. */
function stranger(role, address, options = {}) {
  const child = spawn(process.execPath, [path.join(__dirname, 'fixtures', 'somebody.js'), role, address, JSON.stringify(options)], {
    uid: NOBODY,
    gid: NOBODY,
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined, XDG_RUNTIME_DIR: '/nowhere' },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  child.stdout.setEncoding('utf8');
  const over = event(child, 'close');
  return {
    pid: child.pid,
    line: async () => String(await event(child.stdout, 'data')).trim(),
    end: () => { child.stdin.end(); return over; },
  };
}

/** Where another user can come: a server at each kind of address. */
const places = {
  pipe: ({ address }) => address,
  abstract: () => `pipe:@${token}`,
  tcp: () => 'tcp:127.0.0.1:0',
  tcp6: () => 'tcp:[::1]:0',
};

/** Let everybody reach the socket file: what is left to keep a stranger out is the server. */
function openUp({ folder, path: file }, place) {
  fs.chmodSync(folder, 0o755);
  if (place === 'pipe') fs.chmodSync(file, 0o666);
}

for (const [place, at] of Object.entries(places)) {
  test(`${place}: a client of another user is closed before a byte of it is read`, { skip }, isolated(async (context) => {
    for (const wire of ['native', 'plain']) {
      const { server, next } = await listenQueue(at(context), { wire });
      const errors = [];
      server.on('clientError', (error) => errors.push(error));
      openUp(context, place);
      const client = stranger('connect', server.address, { wire });
      const told = await client.line();
      // On the plain wire nothing is said first: the stranger is connected, and sees the end.
      assert.equal(told, wire === 'plain' ? 'null' : 'ECONNRESET');
      assert.deepEqual(errors.map(({ code, syscall }) => [code, syscall]), [['EACCES', 'accept']]);
      assert.match(errors[0].message, /user 65534/);
      assert.equal(server.count, 0);
      await client.end();
      // The owner is served.
      const own = await ferrule.connect(server.address, { wire });
      const peer = await next();
      own.send('own');
      assert.equal(String(await peer.receive()), 'own');
      const closing = server.close();
      await abortAll(own, peer);
      await closing;
    }
  }));

  test(`${place}: allow lets another user in`, { skip }, isolated(async (context) => {
    const asked = [];
    for (const allow of ['any', (who) => { asked.push(who); return who.uid === NOBODY; }]) {
      const { server, next } = await listenQueue(at(context), { allow });
      openUp(context, place);
      const client = stranger('connect', server.address);
      const peer = await next();
      assert.equal(peer.peerCredentials.uid, NOBODY);
      assert.equal(peer.peerCredentials.pid, place.startsWith('tcp') ? undefined : client.pid);
      assert.equal(peer.peerCredentials.gid, place.startsWith('tcp') ? undefined : NOBODY);
      peer.send('come in');
      assert.equal(await client.line(), 'come in');
      if (allow !== 'any') {
        assert.deepEqual(asked, [peer.peerCredentials]);
        // Only this user is let in: not root.
        await assert.rejects(ferrule.connect(server.address), { code: 'ECONNRESET' });
        assert.equal(asked[1].uid, 0);
      }
      const closing = server.close();
      await abortAll(peer);
      await closing;
      await client.end();
    }
  }));
}

test('a socket file is for its owner alone', { skip }, isolated(async ({ folder, address }) => {
  const { server } = await listenQueue(address);
  fs.chmodSync(folder, 0o755);
  const client = stranger('connect', address, { timeout: 100 });
  assert.equal(await client.line(), 'EACCES');
  await client.end();
  await server.close();
}));

test('a client on TCP finds a server of another user out', { skip }, isolated(async () => {
  for (const wire of ['native', 'plain']) {
    const server = stranger('listen', 'tcp:127.0.0.1:0', { wire });
    const address = await server.line();
    await assert.rejects(ferrule.connect(address, { wire }), { code: 'EACCES', syscall: 'connect' });
    const channel = await ferrule.connect(address, { wire, anyUser: true });
    channel.send('hello');
    assert.equal(String(await channel.receive()), 'hello');
    assert.equal(channel.peerCredentials.uid, NOBODY);
    await abortAll(channel);
    await server.end();
  }
  await assert.rejects(ferrule.connect('tcp:127.0.0.1:9', { anyUser: 'yes' }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
}));

test('root may come to the server of a user, and a user to that of root', { skip }, isolated(async (context) => {
  const server = stranger('listen', `pipe:@${token}`);
  const address = await server.line();
  const channel = await ferrule.connect(address);
  channel.send('root');
  assert.equal(String(await channel.receive()), 'root');
  await abortAll(channel);
  await server.end();

  const { server: own, next } = await listenQueue('tcp:127.0.0.1:0', { allow: 'any' });
  const client = stranger('connect', own.address);
  const peer = await next();
  peer.send('trusted');
  assert.equal(await client.line(), 'trusted');
  const closing = own.close();
  await abortAll(peer);
  await closing;
  await client.end();
  assert.deepEqual(fs.readdirSync(context.folder), []);
}));

test('who is at the other end', isolated(async ({ folder }) => {
  const [uid, gid, pid] = [process.getuid(), process.getgid(), process.pid];
  for (const [name, way] of Object.entries(ways)) {
    const { client, peer, done } = await way(folder);
    for (const channel of [client, peer]) {
      if (name === 'fifo') assert.throws(() => channel.peerCredentials, { code: 'ENOTSUP', syscall: 'peerCredentials' });
      else if (name === 'tcp') assert.deepEqual(channel.peerCredentials, { pid: undefined, uid, gid: undefined });
      else assert.deepEqual(channel.peerCredentials, { pid, uid, gid });
    }
    await done();
    assert.throws(() => client.peerCredentials, { code: 'ERR_FERRULE_CLOSED' });
  }
}));

test('allow decides about each client', isolated(async ({ address }) => {
  for (const at of [address, 'tcp:127.0.0.1:0']) {
    let answer = true;
    let asked = 0;
    const { server, next } = await listenQueue(at, { allow: () => { asked += 1; return answer; } });
    const errors = [];
    server.on('clientError', (error) => errors.push(error.code));
    const client = await ferrule.connect(server.address);
    const peer = await next();
    answer = false;
    await assert.rejects(ferrule.connect(server.address), { code: 'ECONNRESET' });
    assert.deepEqual(errors, ['EACCES']);
    assert.equal(asked, 2);
    assert.equal(server.count, 1);
    const closing = server.close();
    await abortAll(client, peer);
    await closing;
  }
}));

test('allow may close the server', isolated(async ({ address }) => {
  for (const answer of [true, false]) {
    let closing;
    const server = await ferrule.listen(address, { allow: () => { closing = server.close(); return answer; } }, () => assert.fail());
    await assert.rejects(ferrule.connect(address, { timeout: 100 }), ({ code }) => ['ECONNRESET', 'ENOENT'].includes(code));
    await closing;
  }
}));

test('allow that throws, or does not answer, keeps the client out', isolated(async () => {
  const { code, stdout, stderr } = await run('allow_wrong.js');
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(JSON.parse(stdout), [
    ['throws', 'Error', 'thrown in allow', 'ECONNRESET', 'EACCES'],
    ['promise', 'TypeError', 'options.allow must return a boolean, not a promise', 'ECONNRESET', 'EACCES'],
    ['nothing', 'TypeError', 'options.allow must return a boolean, not undefined', 'ECONNRESET', 'EACCES'],
    ['number', 'TypeError', 'options.allow must return a boolean, not number', 'ECONNRESET', 'EACCES'],
  ]);
}));

test('allow that is none', isolated(async ({ address }) => {
  for (const allow of ['all', '', 1, true, null, {}]) {
    await assert.rejects(ferrule.listen(address, { allow }, () => {}), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
}));

/** How two that have these secrets get on, over each way on which there is a server. */
async function meet(folder, way, client, server) {
  const { server: listening, next } = await listenQueue(way(folder), server);
  const errors = [];
  listening.on('clientError', (error) => errors.push(error.code));
  const outcome = await ferrule.connect(listening.address, client).then(
    async (channel) => {
      const peer = await next();
      peer.on('message', (message) => peer.send(message));
      channel.send('secret');
      assert.equal(String(await channel.receive()), 'secret');
      await abortAll(channel, peer);
      return 'met';
    },
    (error) => `${error.code} ${error.syscall}`,
  );
  if (outcome !== 'met') await until(() => errors.length > 0);
  await listening.close();
  return [outcome, errors];
}

const served = { pipe: (folder) => `pipe:${folder}/s`, fifo: () => 'fifo:', tcp: () => 'tcp:127.0.0.1:0' };

for (const [name, way] of Object.entries(served)) {
  test(`${name}: both sides know the secret`, isolated(async ({ folder }) => {
    const bytes = Buffer.from([0, 255, 10, 0, 200]);
    for (const [client, server] of [
      ['open sesame', 'open sesame'],
      ['gr\u00fcn', Buffer.from('gr\u00fcn')],
      [bytes, new Uint8Array(bytes)],
      [Buffer.alloc(100_000, 'long'), Buffer.alloc(100_000, 'long')],
    ]) {
      assert.deepEqual(await meet(folder, way, { secret: client }, { secret: server }), ['met', []]);
    }
  }));

  test(`${name}: a secret that is wrong, or on one side only`, isolated(async ({ folder }) => {
    const cases = [
      [{ secret: 'right' }, { secret: 'wrong' }],
      [{ secret: 'right' }, { secret: 'righ' }],
      [{ secret: 'a' }, { secret: Buffer.from('a\0b') }],
      [{ secret: 'right' }, {}],
      [{}, { secret: 'right' }],
    ];
    for (const [client, server] of cases) {
      const [outcome, errors] = await meet(folder, way, client, server);
      assert.equal(outcome, 'EACCES connect');
      // Who finds it out first ends the connection: the other may see no more than that.
      assert.equal(errors.length, 1);
      assert.ok(['EACCES', 'ECONNRESET'].includes(errors[0]), errors[0]);
      if (client.secret !== undefined && server.secret !== undefined) assert.deepEqual(errors, ['EACCES']);
    }
  }));
}

test('a secret that is none, or has no place', isolated(async ({ address }) => {
  const empty = { code: 'EINVAL', message: /the secret is empty/ };
  const without = { code: 'ENOTSUP' };
  for (const secret of ['', Buffer.alloc(0), new Uint8Array(0)]) {
    await assert.rejects(ferrule.connect(address, { secret }), empty);
    await assert.rejects(ferrule.listen(address, { secret }, () => {}), empty);
    await assert.rejects(ferrule.pair({ secret }), empty);
  }
  for (const secret of [null, 7, true, ['x'], {}, new Uint16Array(2), new ArrayBuffer(8)]) {
    await assert.rejects(ferrule.connect(address, { secret }), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  await assert.rejects(ferrule.connect(address, { secret: 'x', wire: 'plain' }), without);
  await assert.rejects(ferrule.listen(address, { secret: 'x', wire: 'plain' }, () => {}), without);
  await assert.rejects(ferrule.pair({ secret: 'x' }), without);
  const [a, b] = ferrule.Pipe.pair().map((pipe) => pipe.detach());
  await assert.rejects(ferrule.connect(`fd:${a}`, { secret: 'x' }), without);
  for (const fd of [a, b]) fs.closeSync(fd);
}));

test('an error does not tell the secret', isolated(async ({ folder }) => {
  const secret = 'quite-private';
  const { server } = await listenQueue(`pipe:${folder}/s`, { secret });
  const refused = once(server, 'clientError');
  const error = await ferrule.connect(server.address, { secret: `${secret}!` }).catch((reason) => reason);
  for (const told of [error, (await refused)[0], server]) {
    assert.ok(!inspect(told, { depth: 9, showHidden: true }).includes(secret));
  }
  await server.close();
}));

/** Everything that comes on a socket, as it comes. */
function listener(socket) {
  const seen = { bytes: Buffer.alloc(0), gone: event(socket, 'close') };
  socket.on('data', (chunk) => { seen.bytes = Buffer.concat([seen.bytes, chunk]); });
  socket.on('error', () => {});
  return seen;
}

test('a handshake that is sent back, or once more, proves nothing', isolated(async ({ folder }) => {
  const secret = 'open sesame';
  const { server, next } = await listenQueue(`pipe:${folder}/s`, { secret });
  const errors = [];
  server.on('clientError', (error) => errors.push(error.code));

  // What a client that knows the secret says, heard by somebody between the two.
  let heard = Buffer.alloc(0);
  const between = net.createServer((from) => {
    const to = net.connect(`${folder}/s`).on('error', () => {});
    from.on('data', (chunk) => { heard = Buffer.concat([heard, chunk]); });
    from.on('error', () => {}).pipe(to).pipe(from);
  }).listen(`${folder}/between`);
  await once(between, 'listening');
  const client = await ferrule.connect(`pipe:${folder}/between`, { secret });
  const peer = await next();
  const PROOF = 40;
  assert.equal(heard.length, 36 + 32 + PROOF);
  const closing = closed(peer.resume());
  await client.close();
  await closing;

  // The same once more, to a server that asks another question.
  const again = net.connect(`${folder}/s`);
  const replay = listener(again);
  again.write(heard);
  await replay.gone;
  assert.deepEqual(errors, ['EACCES']);
  assert.equal(replay.bytes.length, 36 + 32);

  // The server's own words, as an answer.
  const mirror = net.connect(`${folder}/s`);
  const seen = listener(mirror);
  mirror.on('data', (chunk) => mirror.write(chunk));
  await until(() => seen.bytes.length === 36 + 32);
  mirror.write(heard.subarray(36 + 32));
  await seen.gone;
  assert.deepEqual(errors, ['EACCES', 'EACCES']);
  assert.equal(seen.bytes.length, 36 + 32);
  await server.close();

  // A client's own words, hello and proof, as an answer.
  const fake = net.createServer((socket) => { socket.on('error', () => {}).pipe(socket); }).listen(`${folder}/s`);
  await once(fake, 'listening');
  await assert.rejects(ferrule.connect(`pipe:${folder}/s`, { secret }), { code: 'EACCES' });
  for (const one of [between, fake]) await new Promise((resolve) => { one.close(resolve); });
}));

test('a handshake with a secret that stops in the middle', isolated(async ({ address, folder, path: file }) => {
  const secret = 'open sesame';
  const { server, next } = await listenQueue(address, { secret, handshakeTimeout: 100 });
  const errors = [];
  server.on('clientError', (error) => errors.push(error.code));
  const sockets = [0, 8, 36, 67, 68, 70].map((count) => {
    const socket = net.connect(file).on('error', () => {});
    const seen = listener(socket);
    // Its own words, which end where a client's would go on.
    let left = count;
    socket.on('data', (chunk) => { socket.write(chunk.subarray(0, left)); left -= Math.min(left, chunk.length); });
    return seen;
  });
  const client = await ferrule.connect(address, { secret });
  const peer = await next();
  peer.send('served meanwhile');
  assert.equal(String(await client.receive()), 'served meanwhile');
  await Promise.all(sockets.map(({ gone }) => gone));
  assert.deepEqual(errors, sockets.map(() => 'ETIMEDOUT'));
  const closing = server.close();
  await abortAll(client, peer);
  await closing;
  assert.deepEqual(fs.readdirSync(folder), []);
}));
