'use strict';

/** Peers that misbehave, as raw bytes, over every transport and wire; and what stands in the place of a FIFO. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const net = require('node:net');
const { test } = require('node:test');
const { closed, event, ferrule, isolated, listenQueue, run, turn } = require('./helpers.js');

const { Pipe, connect, listen } = ferrule;
const { O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants;
const wires = ['native', 'plain'];

const HELLO = Buffer.from('010000000000001c46455252554c450a0001000100000000000000000400000000000000', 'hex');
/** What each wire has before a message of so many bytes. */
const header = {
  native: (length) => Buffer.from([2, 0, 0, 0, length >>> 24, length >>> 16, length >>> 8, length]),
  plain: (length) => Buffer.from([length >>> 24, length >>> 16, length >>> 8, length]),
};
const hello = { native: HELLO, plain: Buffer.alloc(0) };

function message(wire, text) {
  return Buffer.concat([header[wire](Buffer.byteLength(text)), Buffer.from(text)]);
}

/** Two streams on the ends of FIFOs that a server made, as one peer. */
function openFifos(address) {
  const [reads, writes] = address.slice('fifo:'.length).split(',');
  const from = new net.Socket({ fd: fs.openSync(reads, O_RDONLY | O_NONBLOCK), readable: true, writable: false });
  const to = new net.Socket({ fd: fs.openSync(writes, O_WRONLY | O_NONBLOCK), readable: false, writable: true });
  return [from, to];
}

/** Raw bytes to a channel: { channel, write, die, done }. */
const raws = {
  async pipe(folder, options) {
    return accept(await listenQueue(`pipe:${folder}/channel`, options), options, (address) => {
      const socket = net.connect(address.slice('pipe:'.length));
      return [socket, socket];
    });
  },
  async tcp(folder, options) {
    return accept(await listenQueue('tcp:127.0.0.1:0', options), options, (address) => {
      const socket = net.connect(Number(address.slice(address.lastIndexOf(':') + 1)), '127.0.0.1');
      return [socket, socket];
    });
  },
  async fifo(folder, options) {
    return accept(await listenQueue('fifo:', options), options, openFifos);
  },
  async fd(folder, options) {
    const [a, b] = Pipe.pair();
    const connecting = connect(`fd:${b.detach()}`, options);
    return accept({ next: () => connecting }, options, () => [a, a]);
  },
};

async function accept({ server, next }, options, open) {
  const [from, to] = open(server?.address);
  const ends = [...new Set([from, to])].map((stream) => {
    stream.on('error', () => {});
    return event(stream, 'close');
  });
  from.resume();
  to.write(hello[options.wire]);
  const channel = await next();
  const stopping = server?.close();
  return {
    channel,
    write: (bytes) => to.write(bytes),
    die() {
      to.end();
      if (from !== to) from.destroy();
    },
    async done() {
      from.destroy();
      to.destroy();
      channel.abort();
      await Promise.all([...ends, closed(channel), stopping]);
    },
  };
}

for (const [name, open] of Object.entries(raws)) {
  for (const wire of wires) {
    const label = `${name}, ${wire}`;

    test(`${label}: a length over the limit, of which nothing comes`, isolated(async ({ folder }) => {
      for (const length of [1001, 0x7fffffff, 0xffffffff]) {
        const { channel, write, done } = await open(folder, { wire, maxMessage: 1000 });
        const before = process.memoryUsage().rss;
        write(Buffer.concat([message(wire, 'whole'), header[wire](length)]));
        assert.equal(String(await channel.receive()), 'whole');
        await assert.rejects(channel.receive(), { code: 'EMSGSIZE', status: 'FER_EMSGSIZE' });
        assert.ok(process.memoryUsage().rss - before < 50e6);
        await done();
      }
    }));

    test(`${label}: a length that is allowed, of which little comes`, isolated(async ({ folder }) => {
      const { channel, write, die, done } = await open(folder, { wire, maxMessage: 0xffffffff });
      const before = process.memoryUsage().rss;
      const taking = channel.receive();
      write(Buffer.concat([header[wire](0xfffffff0), Buffer.from('little')]));
      await turn(5);
      assert.ok(process.memoryUsage().rss - before < 50e6);
      die();
      await assert.rejects(taking, { code: 'ECONNRESET' });
      await done();
    }));

    for (const [where, cut] of [['the header', 3], ['the message', 40]]) {
      test(`${label}: half of ${where}, then silence, then death`, isolated(async ({ folder }) => {
        const { channel, write, die, done } = await open(folder, { wire });
        const bytes = Buffer.concat([header[wire](1000), Buffer.alloc(1000)]).subarray(0, cut);
        write(Buffer.concat([message(wire, 'whole'), bytes]));
        assert.equal(String(await channel.receive()), 'whole');
        // Silence alone is no error.
        await assert.rejects(channel.receive({ timeout: 30 }), { code: 'ETIMEDOUT' });
        die();
        await assert.rejects(channel.receive(), { code: 'ECONNRESET', syscall: 'receive' });
        assert.equal(await channel.receive(), null);
        await done();
      }));

      test(`${label}: half of ${where}, then a silence that is too long`, isolated(async ({ folder }) => {
        const { channel, write, done } = await open(folder, { wire, frameTimeout: 30 });
        write(message(wire, 'whole'));
        assert.equal(String(await channel.receive()), 'whole');
        // Between messages it may be silent.
        await assert.rejects(channel.receive({ timeout: 60 }), { code: 'ETIMEDOUT' });
        write(Buffer.concat([header[wire](1000), Buffer.alloc(1000)]).subarray(0, cut));
        await assert.rejects(channel.receive(), { code: 'ECONNABORTED', status: 'FER_ECONNABORTED' });
        await done();
      }));
    }

    test(`${label}: giving up between header and body leaves everything in step`, isolated(async ({ folder }) => {
      const { channel, write, done } = await open(folder, { wire });
      const bytes = message(wire, 'in two pieces');
      for (const cut of [1, header[wire](0).length - 1, header[wire](0).length, header[wire](0).length + 5]) {
        const controller = new AbortController();
        const given = channel.receive({ signal: controller.signal });
        write(bytes.subarray(0, cut));
        await turn(3);
        controller.abort();
        await assert.rejects(given, { name: 'AbortError' });
        await assert.rejects(channel.receive({ timeout: 1 }), { code: 'ETIMEDOUT' });
        write(Buffer.concat([bytes.subarray(cut), message(wire, 'the next')]));
        assert.equal(String(await channel.receive()), 'in two pieces');
        assert.equal(String(await channel.receive()), 'the next');
      }
      await done();
    }));

    test(`${label}: a length of zero`, isolated(async ({ folder }) => {
      const { channel, write, done } = await open(folder, { wire });
      write(Buffer.concat([message(wire, 'before'), header[wire](0), message(wire, 'after')]));
      assert.equal(String(await channel.receive()), 'before');
      if (wire === 'native') {
        assert.equal((await channel.receive()).length, 0);
        assert.equal(String(await channel.receive()), 'after');
      } else {
        // The goodbye: what follows is not looked at.
        assert.equal(await channel.receive(), null);
        await assert.rejects(channel.send('x'), { code: 'EPIPE' });
      }
      await done();
    }));

    test(`${label}: close() and abort() in the middle of a message`, isolated(async ({ folder }) => {
      for (const how of ['close', 'abort']) {
        const { channel, write, done } = await open(folder, { wire, closeTimeout: 30 });
        const taking = channel.receive();
        write(header[wire](1000));
        await turn(3);
        if (how === 'close') await assert.rejects(channel.close(), { code: 'ETIMEDOUT' });
        else channel.abort();
        assert.equal(await taking, null);
        await done();
      }
    }));
  }
}

/** Two FIFOs in the folder: the address of who reads the first. */
async function makeFifos(folder) {
  const server = await listen(`fifo:${folder}/a,${folder}/b`, () => {});
  // What is there already stays there when a server closes: they get other names meanwhile.
  for (const name of ['a', 'b']) fs.renameSync(`${folder}/${name}`, `${folder}/${name}.kept`);
  await server.close();
  for (const name of ['a', 'b']) fs.renameSync(`${folder}/${name}.kept`, `${folder}/${name}`);
  return `fifo:${folder}/a,${folder}/b`;
}

function removeFifos(folder) {
  for (const name of ['a', 'b']) fs.unlinkSync(`${folder}/${name}`);
}

test('FIFOs that were there are used, and stay', isolated(async ({ folder }) => {
  const address = await makeFifos(folder);
  const { server, next } = await listenQueue(address);
  assert.equal(server.address, `fifo:${folder}/b,${folder}/a`);
  const client = await connect(server.address);
  const peer = await next();
  const stopping = server.close();
  client.send('through');
  assert.equal(String(await peer.receive()), 'through');
  await Promise.all([client.close(), peer.close(), stopping]);
  assert.deepEqual(fs.readdirSync(folder), ['a', 'b']);
  removeFifos(folder);
}));

test('a server removes the FIFOs that it made, and nothing else', isolated(async ({ folder }) => {
  const server = await listen(`fifo:${folder}/a,${folder}/b`, () => {});
  for (const name of ['a', 'b']) assert.equal(fs.statSync(`${folder}/${name}`).mode & 0o777, 0o600);
  // One was replaced.
  fs.unlinkSync(`${folder}/a`);
  fs.writeFileSync(`${folder}/a`, 'keep me');
  await server.close();
  assert.deepEqual(fs.readdirSync(folder), ['a']);
  assert.equal(fs.readFileSync(`${folder}/a`, 'utf8'), 'keep me');
  fs.unlinkSync(`${folder}/a`);
}));

test('two clients meet on stale FIFOs', isolated(async ({ folder }) => {
  const address = await makeFifos(folder);
  const [a, b] = await Promise.all([connect(address), connect(`fifo:${folder}/b,${folder}/a`)]);
  a.send('met');
  assert.equal(String(await b.receive()), 'met');
  // A third would take what is not for it.
  await assert.rejects(connect(address), { code: 'EADDRINUSE' });
  b.resume();
  await Promise.all([a.close(), closed(b)]);
  removeFifos(folder);
}));

test('a second client on FIFOs is told, and the first goes on', isolated(async () => {
  for (const wire of wires) {
    const { server, next } = await listenQueue('fifo:', { wire });
    const client = await connect(server.address, { wire });
    const peer = await next();
    await assert.rejects(connect(server.address, { wire }), { code: 'EADDRINUSE', syscall: 'connect' });
    client.send('still here');
    assert.equal(String(await peer.receive()), 'still here');
    const stopping = server.close();
    await Promise.all([client.close(), peer.close(), stopping]);
  }
}));

test('nobody on the other side of a FIFO, within the time', isolated(async ({ folder }) => {
  const address = await makeFifos(folder);
  const start = process.hrtime.bigint();
  await assert.rejects(connect(address, { timeout: 30 }), { code: 'ECONNREFUSED' });
  assert.ok(process.hrtime.bigint() - start < 5_000_000_000n);
  const controller = new AbortController();
  const connecting = connect(address, { signal: controller.signal, timeout: Infinity });
  setImmediate(() => controller.abort());
  await assert.rejects(connecting, { name: 'AbortError' });
  removeFifos(folder);
}));

test('what is no FIFO is refused, and left alone', isolated(async ({ folder }) => {
  const address = await makeFifos(folder);
  const file = `${folder}/a`;
  fs.unlinkSync(file);
  await assert.rejects(connect(address, { timeout: 30 }), { code: 'ENOENT' });
  fs.writeFileSync(file, 'keep me');
  await assert.rejects(connect(address), { code: 'EPROTOTYPE', status: 'FER_EPROTOTYPE' });
  await assert.rejects(listen(address, () => {}), { code: 'EPROTOTYPE' });
  assert.equal(fs.readFileSync(file, 'utf8'), 'keep me');
  fs.unlinkSync(file);
  fs.symlinkSync(`${folder}/b`, file);
  await assert.rejects(connect(address), { code: 'ELOOP' });
  await assert.rejects(listen(address, () => {}), { code: 'ELOOP' });
  assert.equal(fs.readlinkSync(file), `${folder}/b`);
  removeFifos(folder);
}));

test("another user's FIFOs are refused", { skip: process.geteuid() !== 0 && 'only root can be several users' }, isolated(async ({ folder }) => {
  await makeFifos(folder);
  fs.chmodSync(folder, 0o777);
  for (const name of ['a', 'b']) {
    fs.chownSync(`${folder}/${name}`, 12345, 12345);
    fs.chmodSync(`${folder}/${name}`, 0o666);
  }
  const { code, stdout, stderr } = await run('stranger.js', [folder]);
  assert.equal(stderr, '');
  assert.equal(stdout, 'connect EPERM FER_EPERM\nlisten EPERM FER_EPERM\n');
  assert.equal(code, 0);
  assert.deepEqual(fs.readdirSync(folder), ['a', 'b']);
  removeFifos(folder);
}));

test('a FIFO that becomes a file while the server waits', isolated(async ({ folder }) => {
  const { server, next } = await listenQueue(`fifo:${folder}/a,${folder}/b`);
  const trouble = event(server, 'clientError');
  const client = await connect(server.address);
  const peer = await next();
  fs.unlinkSync(`${folder}/a`);
  fs.writeFileSync(`${folder}/a`, 'keep me');
  peer.resume();
  await Promise.all([client.close(), closed(peer)]);
  // For the next client, the server looks again.
  assert.equal((await trouble).code, 'EPROTOTYPE');
  await server.close();
  assert.deepEqual(fs.readdirSync(folder), ['a']);
  fs.unlinkSync(`${folder}/a`);
}));

test('handles on what cannot carry them are refused before anything happens', isolated(async ({ folder }) => {
  for (const address of ['fifo:', 'tcp:127.0.0.1:0']) {
    await assert.rejects(listen(address, { maxHandles: 1 }, () => {}), { code: 'ENOTSUP', status: 'FER_ENOTSUP' });
  }
  await assert.rejects(listen(`pipe:${folder}/x`, { maxHandles: 1, wire: 'plain' }, () => {}), { code: 'ENOTSUP' });
  await assert.rejects(connect('tcp:127.0.0.1:9', { maxHandles: 1 }), { code: 'ENOTSUP' });
}));
