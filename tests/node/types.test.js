'use strict';

/** The type declarations, as a user's compiler sees them, and against what the package really has. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { test } = require('node:test');
const { ferrule, package_ } = require('./helpers.js');

const options = {
  strict: true,
  noEmit: true,
  target: 'es2022',
  lib: ['es2022', 'esnext.disposable'],
  module: 'node16',
  moduleResolution: 'node16',
  types: ['node'],
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
};

const examples = [
  'node/requests/main.mjs', 'node/requests/requests.mjs',
  'node/pool/pool.mjs', 'node/pool/progress.mjs', 'node/pool/smooth.mjs', 'python/pool/mandelbrot_worker.mjs',
  'node/sidecar/main.mjs', 'node/sidecar/sidecar.mjs', 'node/sidecar/guard.mjs', 'node/sidecar/page/page.js',
];

test('programs in TypeScript compile', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-types-'));
  try {
    const modules = path.join(folder, 'node_modules');
    fs.mkdirSync(modules);
    fs.symlinkSync(package_, path.join(modules, 'ferrule'));
    for (const name of ['@types', 'undici-types']) {
      fs.symlinkSync(path.join(package_, 'node_modules', name), path.join(modules, name));
    }
    for (const name of fs.readdirSync(path.join(__dirname, 'types'))) {
      fs.copyFileSync(path.join(__dirname, 'types', name), path.join(folder, name));
    }
    // Examples whose types are checked, as a user of the package has them.
    for (const name of examples) {
      const text = fs.readFileSync(path.join(__dirname, '../../examples', name), 'utf8');
      assert.match(text, /^\/\/ @ts-check$/m, name);
      fs.mkdirSync(path.join(folder, path.dirname(name)), { recursive: true });
      fs.writeFileSync(path.join(folder, name), text.replace(/'[^']*index\.mjs'/, "'ferrule'"));
    }
    fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { ...options, allowJs: true }, include: ['**/*'] }));
    const compiler = path.join(package_, 'node_modules', 'typescript', 'bin', 'tsc');
    const { status, stdout, stderr } = spawnSync(process.execPath, [compiler, '-p', folder], { encoding: 'utf8' });
    assert.equal(stdout + stderr, '');
    assert.equal(status, 0);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

test('every public thing is declared, and nothing else', () => {
  const text = fs.readFileSync(path.join(package_, 'index.d.ts'), 'utf8');
  const declared = [...text.matchAll(/^ {2}(?:class|function|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(ferrule).sort());
  const module_ = fs.readFileSync(path.join(package_, 'index.d.mts'), 'utf8');
  const exported = [...module_.matchAll(/^export import (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual(exported.sort(), Object.keys(ferrule).sort());
  for (const name of Object.keys(ferrule).filter((key) => /^[A-Z]/.test(key))) {
    const body = text.slice(text.search(new RegExp(`^  class ${name} `, 'm')));
    const block = body.slice(0, body.indexOf('\n  }\n'));
    // What starts with an underscore is the streams' business.
    const members = Object.getOwnPropertyNames(ferrule[name].prototype).filter((member) => !member.startsWith('_'));
    for (const member of members) {
      // Those of an EventEmitter need not be told again.
      if (['constructor', 'prependListener', 'removeListener', 'removeAllListeners'].includes(member)) continue;
      assert.match(block, new RegExp(`^    (?:readonly )?${member}\\b`, 'm'), `${name}.${member}`);
    }
  }
});
