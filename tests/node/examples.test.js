'use strict';

/** The example programs, as a reader runs them. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { addon, isolated, root } = require('./helpers.js');

function start(name, address) {
  const child = spawn(process.execPath, [path.join(root, 'examples', 'node', name), address], {
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
