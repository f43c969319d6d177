'use strict';

/** Closing and throwing inside every callback. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { closed, event, ferrule, isolated, pair, run, turn } = require('./helpers.js');

const { Pipe } = ferrule;

/** How a channel can be closed from inside a callback of its own. */
const ways = {
  close: (channel) => channel.close(),
  abort: (channel) => channel.abort(),
  both: (channel) => {
    channel.close();
    channel.abort();
    channel.close();
  },
};

for (const [way, end] of Object.entries(ways)) {
  test(`${way} inside 'message': nothing comes after it`, isolated(async ({ address }) => {
    const { client, peer, server } = await pair(address);
    const seen = [];
    const over = event(peer, 'close');
    peer.on('error', assert.fail);
    peer.on('end', assert.fail);
    peer.on('message', (message) => {
      seen.push(String(message));
      end(peer);
    });
    for (const word of ['one', 'two', 'three']) client.send(word);
    // For a close() to end, the other side must see the goodbye.
    client.on('error', () => {}).resume();
    await over;
    assert.deepEqual(seen, ['one']);
    await closed(client);
    await server.close();
  }));

  test(`${way} inside 'end', 'error' and 'close'`, isolated(async ({ address }) => {
    for (const name of ['end', 'error', 'close']) {
      const { client, peer, server } = await pair(address);
      let calls = 0;
      const over = event(peer, 'close');
      peer.on('error', () => {});
      peer.on(name, () => {
        calls += 1;
        end(peer);
      });
      peer.resume();
      if (name === 'error') client.abort();
      else client.close();
      await over;
      await turn();
      assert.equal(calls, 1, name);
      await Promise.all([closed(client), server.close()]);
    }
  }));

  test(`${way} inside 'drain'`, isolated(async ({ address }) => {
    const { client, peer, server } = await pair(address, { highWater: 1000 });
    const over = event(client, 'close');
    client.on('drain', () => end(client));
    client.send(Buffer.alloc(5_000_000));
    assert.equal(client.writable, false);
    peer.on('error', () => {}).resume();
    await over;
    await Promise.all([closed(peer), server.close()]);
  }));

  test(`${way} after a send`, isolated(async ({ address }) => {
    const { client, peer, server } = await pair(address);
    const over = event(client, 'close');
    const results = [];
    const sent = [client.send('one'), client.send(Buffer.alloc(5_000_000))];
    for (const promise of sent) {
      promise.then(() => results.push(null), (error) => results.push(error.code)).finally(() => end(client));
    }
    peer.on('error', () => {}).resume();
    await over;
    // A close() still flushes, an abort() does not.
    assert.deepEqual(results, [null, way === 'close' ? null : 'ECANCELED']);
    await Promise.all([closed(peer), server.close()]);
  }));

  test(`${way} inside the handler of a server, with the server`, isolated(async ({ address }) => {
    let over;
    const server = await ferrule.listen(address, (channel) => {
      over = event(channel, 'close');
      end(channel);
      server.close();
    });
    const client = await ferrule.connect(address);
    client.on('error', () => {}).resume();
    await event(client, 'close');
    await over;
    await server.close();
  }));
}

test('closing a server inside of clientError and close', isolated(async ({ address, path: file }) => {
  const server = await ferrule.listen(address, assert.fail);
  const over = event(server, 'close');
  server.on('clientError', () => server.close());
  server.on('close', () => server.close());
  const socket = net.connect(file).on('error', () => {});
  socket.end('garbage, and more of it');
  socket.resume();
  await Promise.all([over, event(socket, 'close')]);
}));

test('closing while the other callbacks are due', isolated(async ({ address }) => {
  const { client, peer, server, next } = await pair(address);
  const second = await ferrule.connect(address);
  const other = await next();
  // Each is closed by a callback of another one that is called in the same turn.
  const over = [client, peer, second, other].map((channel) => event(channel, 'close'));
  for (const channel of [client, peer, second, other]) channel.on('error', () => {});
  peer.on('message', () => other.abort());
  other.on('message', () => peer.abort());
  client.resume().send('x');
  second.resume().send('y');
  await turn(3);
  client.abort();
  second.abort();
  other.abort();
  peer.abort();
  await Promise.all(over);
  await server.close();
}));

test('aborting a connect inside of a callback', isolated(async ({ address }) => {
  const given = [];
  const server = await ferrule.listen(address, (channel) => { given.push(channel); });
  const controller = new AbortController();
  const first = ferrule.connect(address).then((channel) => {
    controller.abort();
    return channel;
  });
  const second = ferrule.connect(address, { signal: controller.signal }).catch((error) => error);
  const [channel, result] = await Promise.all([first, second]);
  if (result instanceof Error) assert.equal(result.name, 'AbortError');
  else given.push(result);
  given.push(channel);
  await turn(3);
  for (const open of given) open.abort();
  await Promise.all(given.map(closed));
  await server.close();
}));

test('destroying a pipe inside every callback of it', isolated(async ({ path: file }) => {
  for (const name of ['connection', 'connect', 'data', 'end', 'finish', 'close', 'written', 'written later', 'error']) {
    const listener = new Pipe();
    const client = new Pipe({ allowHalfOpen: true });
    let peer;
    const pipes = () => [listener, client, peer].filter((pipe) => pipe !== undefined);
    const destroy = () => {
      for (const pipe of pipes()) pipe.destroy();
    };
    listener.bind(file).listen(() => {
      if (name === 'connection') {
        destroy();
        return;
      }
      peer = listener.accept();
      peer.on('error', () => {});
      if (name === 'end') peer.end();
      else if (name === 'error') client.destroy(new Error('on purpose'));
      else peer.write('x');
    });
    const over = Promise.all([listener, client].map((pipe) => event(pipe, 'close')));
    if (['connect', 'data', 'end', 'finish', 'close', 'error'].includes(name)) client.on(name, destroy);
    if (name !== 'error') client.on('error', () => {});
    const connected = await client.connect(file).then(() => true, (error) => error.code);
    assert.ok(connected === true || connected === 'ECANCELED', String(connected));
    if (name === 'data' || name === 'end') client.resume();
    if (name === 'finish') client.end();
    if (name === 'close') client.destroy();
    if (name === 'written') client.write('now', destroy);
    if (name === 'written later') {
      client.write(Buffer.alloc(5_000_000), destroy);
      await turn(2);
      peer.resume();
    }
    await over;
    if (peer !== undefined && !peer.closed) await event(peer.destroy(), 'close');
  }
}));

test('throwing inside every callback', isolated(async ({ folder }) => {
  const { code, signal, stdout, stderr } = await run('throwing.js', [folder]);
  assert.equal(stderr, '');
  assert.deepEqual([code, signal], [0, null]);
  const lines = stdout.trim().split('\n');
  assert.ok(lines.length >= 18, stdout);
  assert.deepEqual(lines.filter((line) => !line.endsWith(': ok')), []);
  assert.deepEqual(fs.readdirSync(folder), []);
}));

test('an exception that nobody catches ends the process as usual', isolated(async ({ folder }) => {
  const { code, stderr } = await run('uncaught.js', [folder]);
  assert.match(stderr, /Error: thrown in a listener/);
  assert.match(stderr, /uncaught\.js/);
  assert.equal(code, 1);
  for (const name of fs.readdirSync(folder)) fs.unlinkSync(`${folder}/${name}`);
}));
