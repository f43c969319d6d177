'use strict';

/** The example programs, as a reader runs them; those of more than one file have tests of their own. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { addon, closed, event, ferrule, isolated, root } = require('./helpers.js');

function start(name, ...args) {
  return startWith(['ignore', 'pipe', 'inherit'], name, ...args);
}

function startWith(stdio, name, ...args) {
  const child = spawn(process.execPath, [path.join(root, 'examples', 'node', name), ...args], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    stdio,
  });
  child.stdout.setEncoding('utf8');
  return child;
}

test('the echo client and server', isolated(async ({ address, path: file }) => {
  const server = start('echo_server.mjs', address);
  const over = once(server, 'exit');
  const [line] = await once(server.stdout, 'data');
  assert.equal(line, `listening at ${address}\n`);
  for (let i = 0; i < 2; i += 1) {
    const client = start('echo_client.mjs', address);
    let output = '';
    client.stdout.on('data', (text) => { output += text; });
    assert.deepEqual(await once(client, 'close'), [0, null]);
    assert.equal(output, 'hello\n');
  }
  server.kill();
  await over;
  fs.unlinkSync(file);
}));

const wrong = {
  'crowd_server.mjs': [['a', 'b'], ['--help']],
  'echo_client.mjs': [['a', 'b'], ['--help']],
  'echo_server.mjs': [['a', 'b'], ['--help']],
  'hand_over.mjs': [['a', 'b'], ['--help']],
  'parent.mjs': [[], ['--help']],
  'share_port.mjs': [[], ['play'], ['own', 'a', 'b']],
};

test('each says how it is called when it is called in another way', async () => {
  const programs = fs.readdirSync(path.join(root, 'examples', 'node')).filter((name) => name.endsWith('.mjs'));
  assert.deepEqual(programs, Object.keys(wrong));
  await Promise.all(Object.entries(wrong).flatMap(([name, calls]) => calls.map(async (args) => {
    const child = startWith(['ignore', 'pipe', 'pipe'], name, ...args);
    let complaints = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { complaints += text; });
    assert.deepEqual(await once(child, 'close'), [2, null], `${name} ${args}`);
    assert.match(complaints, new RegExp(`^usage: ${name}.*\n$`));
  })));
});

test('typed requests and replies', isolated(async () => {
  const child = start('requests/main.mjs');
  let output = '';
  child.stdout.on('data', (text) => { output += text; });
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.equal(output, "[ 5, 'HELLO' ]\nTypeError: text.toUpperCase is not a function\nError: nothing is called multiply\nERR_FERRULE_CLOSED\n");
  const wrongly = startWith(['ignore', 'pipe', 'ignore'], 'requests/main.mjs', 'more');
  assert.deepEqual(await once(wrongly, 'close'), [2, null]);
}));

test('requests that nobody answers any more fail', isolated(async () => {
  const { ask } = await import('../../examples/node/requests/requests.mjs');
  const [here, there] = await ferrule.pair();
  const request = ask(here);
  const lost = assert.rejects(Promise.all([request('add', 1, 2), request('add', 3, 4)]), { code: 'ECONNRESET' });
  await there.receive();
  there.abort();
  await lost;
  await Promise.all([here, there].map(closed));
}));

/** What a GET gives. */
async function get(url) {
  const request = http.get(url, { agent: false });
  const [response] = await once(request, 'response');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return text;
}

test('a port that several processes serve', isolated(async ({ address, path: file }) => {
  const owner = start('share_port.mjs', 'own', address);
  const gone = once(owner, 'exit');
  const url = String((await once(owner.stdout, 'data'))[0]).trim();
  const workers = [1, 2].map(() => start('share_port.mjs', 'work', address));
  const over = workers.map((worker) => once(worker, 'exit'));
  for (const worker of workers) assert.equal(String((await once(worker.stdout, 'data'))[0]), `serving ${url}\n`);
  const answers = await Promise.all(Array.from({ length: 6 }, () => get(url)));
  for (const answer of answers) assert.ok(workers.some(({ pid }) => answer === `answered by ${pid}\n`), answer);
  workers[0].kill();
  await over[0];
  // The other goes on.
  assert.equal(await get(url), `answered by ${workers[1].pid}\n`);
  workers[1].kill();
  await over[1];
  owner.kill();
  await gone;
  fs.unlinkSync(file);
}));

/** Come to a server as soon as there is room. */
async function connectWhenPossible(address, options) {
  for (;;) {
    try {
      return await ferrule.connect(address, options);
    } catch (error) {
      assert.equal(error.code, 'ECONNRESET');
    }
  }
}

test('the server of a crowd', isolated(async ({ address }) => {
  const server = startWith(['ignore', 'pipe', 'pipe'], 'crowd_server.mjs', address);
  const over = once(server, 'exit');
  let complaints = '';
  server.stderr.setEncoding('utf8').on('data', (text) => { complaints += text; });
  const ended = event(server.stderr, 'end');
  await once(server.stdout, 'data');
  const clients = await Promise.all(Array.from({ length: 100 }, () => ferrule.connect(address)));
  // One more than may come.
  await assert.rejects(ferrule.connect(address), { code: 'ECONNRESET' });
  const [speaker, quiet, ...others] = clients;
  speaker.send('to all of you');
  for (const client of [quiet, ...others]) assert.equal(String(await client.receive()), 'to all of you');
  // One goes, in no orderly way, and another comes in its place.
  quiet.abort();
  await closed(quiet);
  const late = await connectWhenPossible(address);
  late.send('late');
  for (const client of [speaker, ...others]) assert.equal(String(await client.receive()), 'late');
  await closed(late.resume());
  // One that takes too little.
  const small = await connectWhenPossible(address, { maxMessage: 1000 });
  await assert.rejects(small.receive(), { code: 'ECONNRESET' });
  await closed(small);
  // It says goodbye to everybody, and ends.
  server.kill('SIGTERM');
  for (const client of [speaker, ...others]) assert.equal(await client.receive(), null);
  await Promise.all([speaker, ...others].map(closed));
  assert.deepEqual(await over, [0, null]);
  await ended;
  assert.match(complaints, /EBUSY: 100 channels are open/);
}));

test('a parent and its child in C', isolated(async () => {
  const program = path.join(path.dirname(path.dirname(addon)), 'bin', 'ferrule_example_child');
  const parent = startWith(['pipe', 'pipe', 'inherit'], 'parent.mjs', program);
  let output = '';
  parent.stdout.on('data', (text) => { output += text; });
  parent.stdin.end('one\ntwo\n');
  assert.deepEqual(await once(parent, 'close'), [0, null]);
  assert.equal(output, 'one\ntwo\n');
}));
