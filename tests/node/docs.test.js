'use strict';

/** The pages about Node: their programs run, they name everything, and what they say of errors holds. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { addon, package_, root } = require('./helpers.js');
const ferrule = require(package_);
const { status, statusError } = require(path.join(package_, 'lib', 'errors.js'));

const page = fs.readFileSync(path.join(root, 'docs', 'node.md'), 'utf8');
const channels = fs.readFileSync(path.join(root, 'docs', 'channels.md'), 'utf8');
const servers = fs.readFileSync(path.join(root, 'docs', 'server.md'), 'utf8');

/** The programs of a page as [line, text, what it prints]: see scripts/doc_blocks.py. */
function programs(text) {
  const found = text.matchAll(/^<!-- run -->\n```js\n([^]*?)^```$(?:\n\n<!-- prints -->\n```text\n([^]*?)^```$)?/gm);
  return [...found].map(({ index, 1: program, 2: prints = '' }) => [text.slice(0, index).split('\n').length, program, prints]);
}

test('there are programs', () => {
  assert.equal(programs(page).length, page.split('<!-- run -->').length - 1);
  assert.ok(programs(page).length >= 4);
  assert.equal(programs(channels).length, 1);
  assert.equal(programs(servers).length, 1);
});

for (const [line, program, prints] of [...programs(page), ...programs(channels), ...programs(servers)]) {
  test(`the program at line ${line}`, { timeout: 60_000 }, (t) => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    fs.mkdirSync(path.join(folder, 'node_modules'));
    fs.symlinkSync(package_, path.join(folder, 'node_modules', 'ferrule'));
    fs.writeFileSync(path.join(folder, 'program.mjs'), program);
    const done = spawnSync(process.execPath, ['program.mjs'], {
      cwd: folder,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined, XDG_RUNTIME_DIR: folder, FERRULE_NODE_ADDON: addon },
      stdio: ['ignore', 'pipe', 'pipe'],
      encoding: 'utf8',
    });
    assert.deepEqual([done.status, done.stdout, done.stderr], [0, prints, '']);
  });
}

test('the page names everything', () => {
  const names = Object.keys(ferrule);
  for (const Class of [...Object.values(ferrule).filter((value) => value.prototype?.constructor === value), Object.getPrototypeOf(ferrule.Pipe), Object.getPrototypeOf(ferrule.UDP)]) {
    for (const name of Object.getOwnPropertyNames(Class.prototype)) {
      // Overridden methods of EventEmitter and Duplex.
      if (!name.startsWith('_') && !['constructor', 'addListener', 'prependListener', 'removeListener', 'off', 'removeAllListeners'].includes(name)) names.push(name);
    }
  }
  assert.ok(names.length > 30);
  assert.deepEqual(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(page)), []);
});

test('the page names every option', () => {
  const types = fs.readFileSync(path.join(package_, 'index.d.ts'), 'utf8');
  const options = types.match(/interface ChannelOptions \{[^]*?\n {2}interface ChannelInfo/)[0];
  const names = [...options.matchAll(/^ {4}(\w+)\?:/gm)].map((match) => match[1]);
  assert.ok(names.length >= 8);
  assert.deepEqual(names.filter((name) => !page.includes(`\`${name}\``)), []);
});

test('docs/errors.md has the code of every error', () => {
  const lines = fs.readFileSync(path.join(root, 'docs', 'errors.md'), 'utf8').split('\n');
  const codes = new Map();
  for (const line of lines) {
    const found = /^\| `FER_(\w+)` \| -\d+ \|.*\| `(\w+)` \|$/.exec(line);
    if (found) codes.set(found[1], found[2]);
  }
  for (const [name, number] of Object.entries(status)) {
    if (name !== 'OK') assert.equal(codes.get(name), statusError(number, 'test').code, name);
  }
  assert.equal(codes.size, Object.keys(status).length - 1);
});
