'use strict';

/** The example programs, as a reader runs them. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { test } = require('node:test');
const { addon, isolated, root } = require('./helpers.js');

function start(name, ...args) {
  const child = spawn(process.execPath, [path.join(root, 'examples', 'node', name), ...args], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'inherit'],
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
