'use strict';

/** The addon as a file: on Node's own libuv, and with nothing exported that another library could meet. */

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { pathToFileURL } = require('node:url');
const { addon, ferrule, package_, run } = require('./helpers.js');

/** The symbols of a file: [type, name]. */
function symbols(file, ...options) {
  return execFileSync('nm', ['-D', ...options, file], { encoding: 'utf8', maxBuffer: 1 << 28 })
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.trim().split(/\s+/).slice(-2))
    .map(([type, name]) => [type, name.replace(/@.*/, '')]);
}

/** The files that Node's own functions, and those of its libuv, are in. */
function hostFiles() {
  const mapped = fs.readFileSync('/proc/self/maps', 'utf8').match(/\/\S*\/(libnode|libuv)\.so\S*/g) ?? [];
  return [fs.realpathSync(process.execPath), ...new Set(mapped)];
}

test('the addon needs no libuv', () => {
  const needed = execFileSync('readelf', ['-d', addon], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes('(NEEDED)'));
  assert.ok(needed.length > 0);
  assert.deepEqual(needed.filter((line) => /uv/.test(line)), []);
});

test('the addon exports its registration and nothing else', () => {
  const names = symbols(addon, '--defined-only').map(([, name]) => name);
  assert.deepEqual(names.sort(), ['napi_register_module_v1', 'node_api_module_get_api_version_v1']);
});

test('every function of libuv that the addon calls is in this Node', () => {
  const wanted = symbols(addon, '-u').map(([, name]) => name).filter((name) => name.startsWith('uv_'));
  assert.ok(wanted.includes('uv_poll_start'), 'uv_* are undefined in the addon');
  const offered = new Set(hostFiles().flatMap((file) => symbols(file, '--defined-only').map(([, name]) => name)));
  assert.deepEqual(wanted.filter((name) => !offered.has(name)), []);
});

test('the addon asks for Node-API 8 at most', () => {
  const offered = new Set(hostFiles().flatMap((file) => symbols(file, '--defined-only').map(([, name]) => name)));
  const wanted = symbols(addon, '-u').map(([, name]) => name).filter((name) => /^(napi|node_api)_/.test(name));
  assert.ok(wanted.includes('napi_make_callback'));
  assert.deepEqual(wanted.filter((name) => !offered.has(name)), []);
});

test('the loader refuses another libuv', async () => {
  const { code, stdout, stderr } = await run('loader.js', ['uv']);
  assert.equal(stderr, '');
  assert.match(stdout, /^ERR_FERRULE_UV: .*libuv 1\.\d+\.\d+, but this Node on 0\.0\.0\n$/);
  assert.equal(code, 0);
});

test('the loader refuses what is not Node, and a Node that is too old', async () => {
  for (const [what, text] of Object.entries({
    old: 'ferrule: Node 18.19 or newer is needed, and this is 18.18.2',
    bun: 'ferrule: Bun has no libuv that an addon can run on: use Node',
    deno: 'ferrule: Deno has no libuv that an addon can run on: use Node',
  })) {
    const { code, stdout, stderr } = await run('loader.js', [what]);
    assert.deepEqual([code, stdout, stderr], [0, `ERR_FERRULE_RUNTIME: ${text}\n`, '']);
  }
});

test('the loader says where it looked for the addon', async () => {
  const { code, stdout, stderr } = await run('loader.js', ['missing'], { env: { FERRULE_NODE_ADDON: '/nowhere/ferrule.node' } });
  assert.equal(stderr, '');
  assert.match(stdout, /^ERR_FERRULE_ADDON: .*\/nowhere\/ferrule\.node.*node scripts\/build\.js/);
  assert.equal(code, 0);
});

test('CommonJS and ES modules have the same instance', async () => {
  const module_ = await import(pathToFileURL(path.join(package_, 'lib', 'index.mjs')));
  assert.equal(module_.default, ferrule);
  assert.deepEqual(Object.keys(module_).filter((name) => name !== 'default').sort(), Object.keys(ferrule).sort());
  for (const name of Object.keys(ferrule)) assert.equal(module_[name], ferrule[name]);
});

test('the exports map leads to both', async () => {
  const { code, stdout, stderr } = await run('exports.mjs');
  assert.equal(stderr, '');
  assert.equal(stdout, 'same\n');
  assert.equal(code, 0);
});

test('the versions agree', () => {
  const { version } = JSON.parse(fs.readFileSync(path.join(package_, 'package.json'), 'utf8'));
  assert.equal(ferrule.version, version);
});
