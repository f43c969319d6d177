'use strict';

/** The real Bun and Deno, which have no loop for the addon: they are told so, and do not crash. Fetched by ./dev test --long. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { package_, root } = require('./helpers.js');

const programs = path.join(root, 'build', 'runtimes', 'node_modules');
const runtimes = { Bun: ['@oven', /^bun-/, 'bin/bun', ['run']], Deno: ['@deno', /./, 'deno', ['run', '--allow-all']] };

const sources = {
  'main.mjs': "import('ferrule').then(() => console.log('loaded'), (error) => console.log(`${error.code}: ${error.message}`));",
  'main.cjs': "try { require('ferrule'); console.log('loaded'); } catch (error) { console.log(`${error.code}: ${error.message}`); }",
};

/** The program of a package whose name ends with the platform's. */
function find([scope, name, file]) {
  const folder = path.join(programs, scope);
  if (!fs.existsSync(folder)) return undefined;
  const [found] = fs.readdirSync(folder).filter((entry) => name.test(entry));
  return path.join(folder, found, file);
}

for (const [name, runtime] of Object.entries(runtimes)) {
  const program = find(runtime);
  const skip = program === undefined && !process.env.FERRULE_TEST_LONG && 'only with --long';
  test(`${name} is told to use Node`, { skip }, () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-runtimes-'));
    try {
      // As npm installs it.
      const installed = path.join(folder, 'node_modules', 'ferrule');
      fs.mkdirSync(installed, { recursive: true });
      for (const part of ['package.json', 'lib']) fs.cpSync(path.join(package_, part), path.join(installed, part), { recursive: true });
      fs.writeFileSync(path.join(folder, 'package.json'), '{"name":"user","private":true,"dependencies":{"ferrule":"*"}}');
      for (const [file, source] of Object.entries(sources)) {
        fs.writeFileSync(path.join(folder, file), source);
        const { status, signal, stdout, stderr } = spawnSync(program, [...runtime[3], file], {
          cwd: folder,
          encoding: 'utf8',
          env: { PATH: process.env.PATH, HOME: folder, NO_COLOR: '1' },
        });
        const expected = `ERR_FERRULE_RUNTIME: ferrule: ${name} has no libuv that an addon can run on: use Node\n`;
        assert.deepEqual([status, signal, stdout], [0, null, expected], stderr);
      }
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
}
