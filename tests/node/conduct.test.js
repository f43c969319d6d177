'use strict';

/** Pipe and TCP behave as net.Socket does: one table of conduct, run against all of them, and compared. */

const assert = require('node:assert/strict');
const { AsyncLocalStorage } = require('node:async_hooks');
const http = require('node:http');
const net = require('node:net');
const { Duplex, PassThrough, Readable, Transform, addAbortSignal, finished, pipeline } = require('node:stream');
const streams = require('node:stream/promises');
const { test } = require('node:test');
const { event, ferrule, isolated, run, turn } = require('./helpers.js');

const { Pipe, TCP } = ferrule;

/** A connection of Node's own: { client, peer }. */
async function openSockets(place, options, peerOptions) {
  const server = net.createServer(peerOptions);
  server.listen(place);
  await event(server, 'listening');
  const accepted = event(server, 'connection');
  const client = new net.Socket(options);
  client.connect(typeof place === 'string' ? place : server.address().port, '127.0.0.1');
  const [peer] = await Promise.all([accepted, event(client, 'connect')]);
  server.close();
  return { client, peer };
}

/** The same of this library. */
async function openStreams(Class, place, options, peerOptions) {
  const listener = new Class();
  if (Class === Pipe) listener.bind(place);
  else listener.bind('127.0.0.1', 0);
  const accepted = new Promise((resolve) => {
    listener.listen(() => resolve(listener.accept(new Class(peerOptions))));
  });
  const client = new Class(options);
  await (Class === Pipe ? client.connect(place) : client.connect(listener.getsockname().port));
  const peer = await accepted;
  listener.destroy();
  await event(listener, 'close');
  return { client, peer };
}

const kinds = {
  socket: { Class: net.Socket, open: (path, ...options) => openSockets(path, ...options) },
  Pipe: { Class: Pipe, open: (path, ...options) => openStreams(Pipe, path, ...options) },
  TCP: { Class: TCP, open: (path, ...options) => openStreams(TCP, path, ...options) },
};

const BOTH = { allowHalfOpen: true };

/** What of an error is comparable. */
function facts(error) {
  return error == null ? error : `${error.name} ${error.code ?? error.message}`;
}

/** Note these events of a stream as they come. */
function note(trace, name, stream, events = ['connect', 'drain', 'end', 'error', 'finish', 'close', 'timeout']) {
  for (const what of events) {
    stream.on(what, (value) => trace.push(what === 'error' ? `${name} error ${facts(value)}` : `${name} ${what}`));
  }
}

/** Where everything that was noted about one stream is in the order in which it came. */
function of(trace, name) {
  return trace.filter((line) => line.startsWith(`${name} `));
}

async function over(...opened) {
  for (const stream of opened) {
    if (stream.closed) continue;
    stream.on('error', () => {});
    stream.destroy();
    await event(stream, 'close');
  }
}

/** All that comes, which leaves the other direction open. */
async function text(stream) {
  const chunks = [];
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

function state(stream) {
  const { closed, destroyed, errored, readable, writable, readableEnded, writableEnded, writableFinished } = stream;
  const { readableAborted, readableLength, writableLength, writableCorked, writableNeedDrain, writableObjectMode } = stream;
  return {
    closed, destroyed, errored: facts(errored), readable, writable, readableEnded, writableEnded, writableFinished,
    readableAborted, readableLength, writableLength, writableCorked, writableNeedDrain, writableObjectMode,
  };
}

/** Each gives what it saw; that must be what is seen with net.Socket. */
const conduct = {
  async 'a new connection'({ open }) {
    const { client, peer } = await open();
    const seen = [state(client), state(peer), client.allowHalfOpen, client.writableHighWaterMark, client.readableHighWaterMark];
    await over(client, peer);
    return seen;
  },

  async 'a stream that was never connected'({ Class }) {
    const stream = new Class();
    const trace = [];
    note(trace, 'stream', stream);
    stream.destroy();
    await event(stream, 'close');
    return [trace, state(stream)];
  },

  async 'end, as a half-close'({ open }) {
    const { client, peer } = await open(BOTH, BOTH);
    const trace = [];
    note(trace, 'client', client);
    note(trace, 'peer', peer);
    client.end('question');
    const question = await text(peer.pause());
    trace.push(`peer got ${question}`, `peer writable ${peer.writable}`, `client closed ${client.closed}`);
    peer.end('answer');
    trace.push(`client got ${await text(client)}`);
    await turn(3);
    return [of(trace, 'client'), of(trace, 'peer'), state(client), state(peer)];
  },

  async 'without allowHalfOpen, an end is answered'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    note(trace, 'client', client);
    note(trace, 'peer', peer);
    peer.resume();
    client.resume();
    client.end('x');
    await Promise.all([event(client, 'close'), event(peer, 'close')]);
    return [of(trace, 'client'), of(trace, 'peer'), state(client), state(peer)];
  },

  async 'an end is not answered before the data was read'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    note(trace, 'peer', peer);
    client.resume().end('unread');
    peer.pause();
    peer.once('readable', () => {});
    await event(peer, 'readable');
    await turn(3);
    trace.push(`length ${peer.readableLength}`, `ended ${peer.readableEnded}`, `writable ${peer.writable}`);
    peer.on('data', (chunk) => trace.push(`data ${chunk}`));
    await Promise.all([event(client, 'close'), event(peer, 'close')]);
    return trace;
  },

  async 'end: twice, with a callback, with data'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    client.on('error', (error) => trace.push(`error ${facts(error)}`));
    peer.resume();
    client.resume();
    await new Promise((resolve) => { client.end('68690a', 'hex', (error) => { trace.push(`first ${facts(error)}`); resolve(); }); });
    await new Promise((resolve) => { client.end((error) => { trace.push(`second ${facts(error)}`); resolve(); }); });
    await Promise.all([client, peer].map((stream) => stream.closed || event(stream, 'close')));
    return [trace, state(client)];
  },

  async 'write after end'({ open }) {
    const { client, peer } = await open(BOTH, BOTH);
    const trace = [];
    note(trace, 'client', client);
    peer.resume();
    client.end();
    await new Promise((resolve) => { client.write('late', (error) => { trace.push(`callback ${facts(error)}`); resolve(); }); });
    if (!client.closed) await event(client, 'close');
    await turn(2);
    await over(peer);
    return [trace.sort(), state(client)];
  },

  async 'wrong arguments'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    const wrong = [null, undefined, 5, {}, Symbol('x'), [Buffer.from('x')], true];
    for (const value of wrong) assert.throws(() => client.write(value), (error) => trace.push(facts(error)) > 0);
    assert.throws(() => client.write('x', 'nothing'), (error) => trace.push(facts(error)) > 0);
    assert.throws(() => client.setEncoding('nothing'), (error) => trace.push(facts(error)) > 0);
    for (const value of ['x', -1, NaN, null, {}]) {
      assert.throws(() => client.setTimeout(value), (error) => trace.push(facts(error)) > 0, String(value));
    }
    assert.throws(() => client.setTimeout(5, 'x'), (error) => trace.push(facts(error)) > 0);
    await over(client, peer);
    return trace;
  },

  async 'destroy, without an error'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    note(trace, 'client', client);
    note(trace, 'peer', peer);
    peer.resume();
    client.destroy();
    client.destroy(new Error('too late'));
    trace.push(`client destroyed ${client.destroyed}`);
    await Promise.all([event(client, 'close'), event(peer, 'close')]);
    await turn(2);
    return [of(trace, 'client'), of(trace, 'peer'), state(client)];
  },

  async 'destroy, with an error'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    note(trace, 'client', client);
    peer.resume();
    const closing = event(client, 'close');
    client.destroy(Object.assign(new Error('why'), { code: 'WHY' }));
    await closing;
    await new Promise((resolve) => { client.write('x', (error) => { trace.push(`write ${facts(error)}`); resolve(); }); });
    await new Promise((resolve) => { client.end((error) => { trace.push(`end ${facts(error)}`); resolve(); }); });
    trace.push(`read ${client.read()}`);
    await over(peer);
    return [trace, state(client)];
  },

  async 'destroy while writes wait'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    peer.pause();
    const chunk = Buffer.alloc(4 * 1024 * 1024);
    // net.Socket says of the one that is under way that it was done, which it was not.
    client.write(chunk);
    for (let i = 1; i < 3; i += 1) client.write(chunk, (error) => trace.push(`write ${i} ${error == null ? 'done' : 'failed'}`));
    client.on('error', (error) => trace.push(`error ${facts(error)}`));
    client.end((error) => trace.push(`end ${error == null ? 'done' : 'failed'}`));
    client.destroy(new Error('why'));
    await event(client, 'close');
    await turn();
    trace.push(`length ${client.writableLength > 0}`);
    await over(peer);
    return trace.sort();
  },

  async 'back pressure'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    const chunk = Buffer.alloc(256 * 1024, 'x');
    let written = 0;
    peer.pause();
    while (client.write(chunk) || client.writableLength === 0) written += 1;
    trace.push(client.writableNeedDrain, client.writableLength > 0);
    let drains = 0;
    let got = 0;
    client.on('drain', () => { drains += 1; });
    await turn(3);
    trace.push(`drains ${drains}`);
    peer.on('data', (data) => { got += data.length; }).resume();
    await event(client, 'drain');
    trace.push(client.writableNeedDrain, client.writableLength, `drains ${drains}`);
    client.end();
    client.resume();
    await event(peer, 'close');
    trace.push(got === (written + 1) * chunk.length);
    return trace;
  },

  async 'a reader that pauses holds the sender back'({ open }) {
    const { client, peer } = await open();
    // Less than the mark of any Node, so that a write that the kernel takes leaves room.
    const chunk = Buffer.alloc(8 * 1024);
    const most = 64 * 1024;
    const trace = [];
    let got = 0;
    peer.on('data', (data) => {
      got += data.length;
      peer.pause();
    });
    while (client.write(chunk)) await turn();
    await turn(3);
    trace.push(peer.isPaused(), client.writableNeedDrain, peer.readableLength <= 4 * most, got <= 2 * most);
    peer.removeAllListeners('data').resume();
    await event(client, 'drain');
    trace.push(client.writableNeedDrain);
    await over(client, peer);
    return trace;
  },

  async 'cork and uncork'({ open }) {
    const { client, peer } = await open(BOTH, BOTH);
    const trace = [];
    client.cork();
    client.cork();
    for (const word of ['one', 'two', 'three']) client.write(word, () => trace.push(word));
    trace.push(client.writableCorked, client.writableLength);
    client.uncork();
    await turn(2);
    trace.push(client.writableCorked, client.writableLength);
    client.uncork();
    trace.push(client.writableCorked);
    const [chunk] = await new Promise((resolve) => { peer.once('data', (...args) => resolve(args)); });
    trace.push(String(chunk));
    await turn();
    client.cork();
    client.write('four');
    client.end(); // lets go
    peer.pause();
    trace.push(await text(peer), client.writableCorked);
    await over(client, peer);
    return trace;
  },

  async 'setEncoding'({ open }) {
    const { client, peer } = await open(BOTH, BOTH);
    const bytes = Buffer.from('a€😀b');
    const trace = [];
    peer.setEncoding('utf8');
    peer.on('data', (chunk) => trace.push(typeof chunk, chunk));
    for (const byte of bytes) {
      client.write(Buffer.of(byte));
      await turn();
    }
    client.end(Buffer.of(0xe2));
    await event(peer, 'end');
    trace.push(peer.readableEncoding);
    await over(client, peer);
    return trace.filter((one) => one !== 'string').join('');
  },

  async 'setDefaultEncoding, and text in any encoding'({ open }) {
    const { client, peer } = await open(BOTH, BOTH);
    client.write('c3bc', 'hex');
    client.write('w7w=', 'base64');
    client.write('ü', 'latin1');
    client.setDefaultEncoding('utf16le');
    client.write('ü');
    client.write(new Uint8Array([1, 2]));
    client.write(Buffer.alloc(0));
    client.end();
    const chunks = [];
    for await (const chunk of peer) chunks.push(chunk);
    await over(client, peer);
    return Buffer.concat(chunks).toString('hex');
  },

  async 'for await'({ open }) {
    const { client, peer } = await open();
    client.write('one');
    client.end('two');
    const trace = [];
    for await (const chunk of peer) trace.push(chunk);
    trace.splice(0, trace.length, Buffer.concat(trace).toString());
    await Promise.all([client.resume(), peer].map((stream) => stream.closed || event(stream, 'close')));
    return [trace, state(peer)];
  },

  async 'for await, left early'({ open }) {
    const { client, peer } = await open();
    client.write('one');
    for await (const chunk of peer) {
      assert.equal(String(chunk), 'one');
      break;
    }
    client.on('error', () => {}).resume();
    await Promise.all([client, peer].map((stream) => stream.closed || event(stream, 'close')));
    return [state(peer)];
  },

  async 'for await, and a destroy with an error'({ open }) {
    const { client, peer } = await open();
    client.write('one');
    const trace = [];
    try {
      for await (const chunk of peer) {
        trace.push(String(chunk));
        peer.destroy(new Error('why'));
      }
    } catch (error) {
      trace.push(facts(error));
    }
    await over(client, peer);
    return trace;
  },

  async 'an iterator that leaves the stream open'({ open }) {
    const { client, peer } = await open();
    client.write('one');
    for await (const chunk of peer.iterator({ destroyOnReturn: false })) {
      assert.equal(String(chunk), 'one');
      break;
    }
    const seen = [state(peer)];
    client.end('two');
    seen.push(await text(peer));
    client.resume();
    if (!client.closed) await event(client, 'close');
    return seen;
  },

  async 'read(n), unshift and readable'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    client.write('abcdefgh');
    await event(peer, 'readable');
    trace.push(String(peer.read(3)), peer.readableLength, peer.read(100));
    peer.unshift('XY');
    trace.push(String(peer.read(4)), String(peer.read()), peer.read());
    await over(client, peer);
    return trace;
  },

  async 'pause and resume'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    peer.on('data', (chunk) => trace.push(String(chunk)));
    peer.pause();
    client.write('one');
    await turn(3);
    trace.push(peer.isPaused(), peer.readableFlowing);
    peer.resume();
    await event(peer, 'data');
    trace.push(peer.isPaused(), peer.readableFlowing);
    await over(client, peer);
    return trace;
  },

  async 'pipeline'({ open }) {
    const { client, peer } = await open(BOTH, BOTH);
    const upper = new Transform({ transform: (chunk, encoding, done) => done(null, String(chunk).toUpperCase()) });
    const serving = streams.pipeline(peer, upper, peer);
    const chunks = [];
    await Promise.all([
      streams.pipeline(Readable.from(['one ', 'two ', 'three']), client),
      streams.pipeline(client, async (source) => { for await (const chunk of source) chunks.push(chunk); }),
      serving,
    ]);
    await turn(2);
    return [Buffer.concat(chunks).toString(), state(client), state(peer)];
  },

  async 'pipeline, whose source fails'({ open }) {
    const { client, peer } = await open();
    const source = new PassThrough();
    source.write('begun');
    peer.on('error', () => {});
    const result = streams.pipeline(source, client);
    client.on('error', () => {});
    await event(peer, 'readable');
    source.destroy(new Error('the source broke'));
    const trace = [await result.then(() => 'done', facts)];
    if (!client.closed) await event(client, 'close');
    trace.push(state(client));
    await over(peer);
    return trace;
  },

  async 'pipeline, whose peer goes away'({ open }) {
    const { client, peer } = await open();
    const result = streams.pipeline(client, new PassThrough().resume());
    peer.destroy();
    const trace = [await result.then(() => 'done', facts)];
    await over(client, peer);
    return trace;
  },

  async 'pipeline, aborted'({ open }) {
    const { client, peer } = await open();
    const controller = new AbortController();
    const result = streams.pipeline(client, new PassThrough(), { signal: controller.signal });
    client.on('error', () => {});
    peer.write('x');
    await event(client, 'data');
    controller.abort();
    const trace = [await result.then(() => 'done', facts), client.destroyed];
    await over(client, peer);
    return trace;
  },

  async 'finished'({ open }) {
    const trace = [];
    const ends = {
      end: (stream) => stream.end(),
      destroy: (stream) => stream.destroy(),
      'destroy with an error': (stream) => stream.destroy(new Error('why')),
    };
    for (const [name, end] of Object.entries(ends)) {
      const { client, peer } = await open();
      client.resume();
      peer.resume().on('error', () => {});
      const calls = [];
      const both = new Promise((resolve) => { finished(client, (error) => { calls.push(facts(error)); resolve(); }); });
      const writing = new Promise((resolve) => { finished(client, { readable: false }, (error) => { calls.push(facts(error)); resolve(); }); });
      end(client);
      await Promise.all([both, writing]);
      trace.push(name, ...calls);
      await over(client, peer);
      trace.push(await streams.finished(client, { error: false }).then(() => 'later: done', facts));
    }
    return trace;
  },

  async "'close' comes once, and last"({ open }) {
    const trace = [];
    for (const end of ['end', 'destroy', 'fail']) {
      const { client, peer } = await open();
      note(trace, 'client', client);
      peer.on('error', () => {}).resume();
      client.resume();
      const closing = event(client, 'close');
      if (end === 'end') client.end('x');
      else client.destroy(end === 'fail' ? new Error('why') : undefined);
      await closing;
      client.destroy();
      client.resume();
      await turn(3);
      trace.push(end);
      await over(peer);
    }
    return trace;
  },

  async 'the peer is gone'({ open }) {
    const trace = [];
    // With data that nobody read, it is a reset; without, an end.
    for (const unread of [true, false]) {
      const { client, peer } = await open(BOTH, BOTH);
      if (unread) {
        client.write('never read');
        await event(peer.pause().on('readable', () => {}), 'readable');
        peer.removeAllListeners('readable');
      }
      peer.destroy();
      await event(peer, 'close');
      if (!unread) {
        client.resume();
        await event(client, 'end');
        const failed = new Promise((resolve) => { client.once('error', resolve); });
        // TCP has to be told first that nobody is there.
        const timer = setInterval(() => client.destroyed || client.write('x'), 1);
        const error = await failed;
        clearInterval(timer);
        trace.push(['EPIPE', 'ECONNRESET'].includes(error.code), error.errno < 0, typeof error.syscall);
      }
      await over(client, peer);
    }
    return trace;
  },

  async 'timeout'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    trace.push(client.timeout);
    let calls = 0;
    trace.push(client.setTimeout(10, () => { calls += 1; }) === client, client.timeout);
    await event(client, 'timeout');
    trace.push(calls, client.destroyed);
    // It comes again after there was something, and not after it was switched off.
    peer.write('x');
    client.resume();
    await event(client, 'timeout');
    client.setTimeout(0);
    trace.push(client.timeout, client.listenerCount('timeout'), calls);
    let late = 0;
    client.on('timeout', () => { late += 1; });
    await new Promise((resolve) => { setTimeout(resolve, 30); });
    trace.push(late);
    await over(client, peer);
    return trace;
  },

  async 'AbortSignal'({ Class, open }) {
    const trace = [];
    const { client, peer } = await open();
    const controller = new AbortController();
    assert.equal(addAbortSignal(controller.signal, client), client);
    note(trace, 'client', client);
    controller.abort();
    await event(client, 'close');
    trace.push(state(client));
    const aborted = new Class({ signal: AbortSignal.abort() });
    note(trace, 'aborted', aborted);
    await event(aborted, 'close');
    await over(client, peer);
    return trace;
  },

  async 'Readable.toWeb and Duplex.toWeb'({ open }) {
    const trace = [];
    const { client, peer } = await open();
    client.write('one ');
    client.end('two');
    const words = [];
    for await (const chunk of Readable.toWeb(peer)) words.push(chunk);
    trace.push(Buffer.concat(words).toString());
    await over(client, peer);

    const second = await open(BOTH, BOTH);
    const { readable, writable } = Duplex.toWeb(second.client);
    second.peer.pipe(second.peer);
    const writer = writable.getWriter();
    await writer.write(Buffer.from('echo'));
    const closing = writer.close();
    const reader = readable.getReader();
    const got = [];
    for (let part = await reader.read(); !part.done; part = await reader.read()) got.push(part.value);
    await closing;
    trace.push(Buffer.concat(got).toString());
    await over(second.client, second.peer);

    const third = await open();
    const web = Readable.toWeb(third.client);
    await web.cancel();
    if (!third.client.closed) await event(third.client, 'close');
    trace.push(third.client.destroyed);
    await over(third.peer);
    return trace;
  },

  async 'helpers of streams'({ open }) {
    const { client, peer } = await open();
    client.end('a b c');
    const words = await peer.map((chunk) => String(chunk)).toArray();
    await over(client, peer);
    return words;
  },

  async 'writes while it connects'({ Class }, path) {
    const server = net.createServer(BOTH, async (socket) => { socket.end(await text(socket)); });
    server.listen(Class === TCP ? 0 : path);
    await event(server, 'listening');
    const trace = [];
    const client = new Class(BOTH);
    note(trace, 'client', client);
    const { port } = Class === TCP ? server.address() : {};
    const connecting = client.connect(port ?? path);
    trace.push(`connecting ${client.connecting}`, `pending ${client.pending}`, `state ${client.readyState}`);
    client.write('one ', () => trace.push('client written'));
    client.write('two ');
    client.end('three');
    trace.push(await text(client), `connecting ${client.connecting}`);
    if (!client.closed) await event(client, 'close');
    await connecting;
    await new Promise((resolve) => { server.close(resolve); });
    return trace;
  },

  async 'counts and states'({ open }) {
    const { client, peer } = await open(BOTH, BOTH);
    const trace = [client.bytesRead, client.bytesWritten, client.readyState, client.connecting, client.pending];
    client.write('12345');
    client.write('é');
    peer.write('123');
    await event(client.resume(), 'data');
    trace.push(client.bytesRead, client.bytesWritten);
    client.end();
    await event(client, 'finish');
    trace.push(client.readyState);
    peer.end();
    await event(client, 'close');
    trace.push(client.readyState, client.bytesRead, client.bytesWritten);
    await over(peer);
    return trace;
  },

  async 'destroySoon'({ open }) {
    const { client, peer } = await open();
    const trace = [];
    client.write('x'.repeat(1_000_000));
    client.destroySoon();
    trace.push(client.destroyed, client.writable);
    trace.push((await text(peer)).length);
    if (!client.closed) await event(client, 'close');
    trace.push(state(client));
    await over(peer);
    return trace;
  },

  async 'captureRejections'({ open }) {
    const { client, peer } = await open({ captureRejections: true });
    const trace = [];
    note(trace, 'client', client);
    client.on('data', async () => { throw Object.assign(new Error('rejected'), { code: 'REJECTED' }); });
    peer.write('x');
    await event(client, 'close');
    await over(peer);
    return [trace, state(client)];
  },

  async 'AsyncLocalStorage'({ open }) {
    const storage = new AsyncLocalStorage();
    const trace = [];
    const { client, peer } = await storage.run('at the connect', () => open());
    client.on('data', () => trace.push(`data ${storage.getStore()}`));
    await storage.run('at the write', () => new Promise((resolve) => {
      client.write('x', () => { trace.push(`written ${storage.getStore()}`); resolve(); });
    }));
    peer.write('x');
    await event(client, 'data');
    await over(client, peer);
    return trace;
  },

  async 'a server and a client of HTTP over it'({ open }) {
    const { client, peer } = await open(undefined, BOTH);
    const server = http.createServer(async (request, response) => {
      response.end(`${request.method} ${request.url} ${await text(request)}`);
    });
    server.emit('connection', peer);
    const agent = new http.Agent({ keepAlive: true });
    agent.createConnection = () => client;
    const trace = [];
    for (const word of ['one', 'two']) {
      const request = http.request({ agent, method: 'POST', path: `/${word}`, timeout: 60_000 });
      const answer = event(request, 'response');
      request.end(word);
      const response = await answer;
      trace.push(response.statusCode, await text(response));
    }
    agent.destroy();
    await Promise.all([client, peer].map((stream) => stream.closed || event(stream, 'close')));
    return trace;
  },

  async 'a listener that throws'({ open }, path, { caught }) {
    const { client, peer } = await open();
    const trace = [];
    client.once('data', () => { throw new Error('thrown'); });
    peer.write('one');
    trace.push(facts(await caught()), client.destroyed);
    peer.write('two');
    trace.push(String(await event(client, 'data')));
    await over(client, peer);
    return trace;
  },
};

/** The next exception that nobody caught, instead of the end of the test. */
function caught() {
  return new Promise((resolve) => { process.setUncaughtExceptionCaptureCallback(resolve); })
    .finally(() => process.setUncaughtExceptionCaptureCallback(null));
}

for (const [name, behave] of Object.entries(conduct)) {
  test(name, isolated(async ({ path }) => {
    const seen = {};
    for (const [kind, { Class, open }] of Object.entries(kinds)) {
      seen[kind] = await behave({ Class, open: (...options) => open(path, ...options) }, path, { caught });
    }
    assert.ok(seen.socket.length > 0, 'something was seen');
    for (const kind of ['Pipe', 'TCP']) assert.deepEqual(seen[kind], seen.socket, kind);
  }));
}


for (const [role, expected] of Object.entries({
  reading: 'data go\nend\n',
  unreferenced: 'end\n',
  'referenced again': 'data go\nend\n',
  destroyed: 'end\n',
  'with a timeout only': 'end\n',
})) {
  test(`what keeps Node from exiting: ${role}`, isolated(async ({ path }) => {
    for (const kind of Object.keys(kinds)) {
      const server = net.createServer((socket) => {
        socket.on('error', () => {});
        // To one that would exit, nothing is sent.
        socket.once('data', () => expected.startsWith('data') && socket.write('go'));
        socket.resume();
      });
      server.listen(kind === 'Pipe' ? path : 0, '127.0.0.1');
      await event(server, 'listening');
      const place = kind === 'Pipe' ? path : String(server.address().port);
      const { stdout, stderr, code } = await run('conduct_hold.js', [kind, role, place]);
      assert.deepEqual([stdout, stderr, code], [expected, '', 0], kind);
      server.close();
      await event(server, 'close');
    }
  }));
}
