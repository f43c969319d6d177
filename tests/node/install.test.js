'use strict';

/** npm install from a user's folder: of the repository, which builds the addon, and of the package that it packs. */

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');
const { package_, root } = require('./helpers.js');

/** What the build needs of the repository, in a place of its own. */
function copyRepository(to) {
  for (const name of ['CMakeLists.txt', 'cmake', 'capi', 'impl', 'LICENSE']) {
    fs.cpSync(path.join(root, name), path.join(to, name), { recursive: true });
  }
  fs.cpSync(package_, path.join(to, 'bindings', 'node'), {
    recursive: true,
    filter: (from) => !['build', 'node_modules', 'prebuilds'].includes(path.relative(package_, from).split(path.sep)[0]),
  });
  // Instead of fetching them.
  for (const name of ['node-api-headers', 'node-gyp-build']) {
    const module = path.join('node_modules', name);
    fs.cpSync(path.join(package_, module), path.join(to, 'bindings', 'node', module), { recursive: true });
  }
}

function run(command, args, cwd, more = {}) {
  const env = { ...process.env, FERRULE_NODE_ADDON: '', NODE_TEST_CONTEXT: undefined, ...more };
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', env });
  assert.equal(error, undefined);
  assert.equal(status, 0, stdout + stderr);
  return stdout;
}

const program = `
  const { connect, listen } = require('ferrule');
  listen('pipe:' + process.cwd() + '/socket', async (channel) => {
    for await (const message of channel) channel.send(message);
  }).then(async (server) => {
    const channel = await connect(server.address);
    channel.send('installed');
    console.log(String(await channel.receive()));
    await channel.close();
    await server.close();
  });
`;

test('npm install builds the package for a user', { timeout: 600_000 }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-install-'));
  try {
    const repository = path.join(folder, 'repository');
    copyRepository(repository);
    for (const how of ['linked', 'copied']) {
      const user = path.join(folder, how);
      fs.mkdirSync(user);
      fs.writeFileSync(path.join(user, 'package.json'), '{"name":"user","version":"1.0.0","private":true}');
      const links = how === 'copied' ? ['--install-links'] : ['--no-install-links'];
      run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...links, path.join(repository, 'bindings', 'node')], user);
      assert.equal(fs.lstatSync(path.join(user, 'node_modules', 'ferrule')).isSymbolicLink(), how === 'linked');
      assert.equal(run(process.execPath, ['-e', program], user), 'installed\n');
    }
    // The copy stands alone.
    fs.rmSync(repository, { recursive: true });
    assert.equal(run(process.execPath, ['-e', program], path.join(folder, 'copied')), 'installed\n');
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});

/** Programs of Node besides this one: those that ./dev has fetched. */
function nodes() {
  const folder = path.join(root, 'build', 'nodes');
  if (!fs.existsSync(folder)) return [process.execPath];
  const found = fs.readdirSync(folder, { recursive: true })
    .map((name) => path.join(folder, name))
    .filter((file) => /[/]bin[/]node$/.test(file) && fs.statSync(file).isFile());
  return [process.execPath, ...found];
}

/** A folder with these programs and nothing else, as a PATH. */
function pathWith(folder, programs) {
  fs.mkdirSync(folder);
  for (const [name, file] of Object.entries(programs)) fs.symlinkSync(file, path.join(folder, name));
  return folder;
}

const both = `
  import * as module from 'ferrule';
  import { createRequire } from 'node:module';
  const commonjs = createRequire(import.meta.url)('ferrule');
  console.log(Object.keys(commonjs).every((name) => module[name] === commonjs[name]), module.default === commonjs);
  const channels = await module.pair();
  console.log(channels.every((channel) => channel instanceof commonjs.Channel));
  for (const channel of channels) channel.abort();
`;

test('npm pack makes a package that needs no compiler and no network', { timeout: 600_000 }, () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-pack-'));
  try {
    const repository = path.join(folder, 'repository');
    copyRepository(repository);
    const source = path.join(repository, 'bindings', 'node');
    const [{ filename, files, bundled }] = JSON.parse(run('npm', ['pack', '--json', '--offline', '--silent', '--pack-destination', folder], source).replace(/^[^]*?(?=^\[$)/m, ''));
    assert.deepEqual(bundled, ['node-gyp-build']);
    const inside = files.map((file) => file.path);
    const loader = inside.filter((name) => name.startsWith('node_modules/')).map((name) => name.replace('node_modules/node-gyp-build/', ''));
    for (const name of ['LICENSE', 'index.js', 'node-gyp-build.js', 'package.json']) assert.ok(loader.includes(name), name);
    const names = inside.filter((name) => !name.startsWith('node_modules/'));
    assert.deepEqual(names.filter((name) => !/^(lib[/][\w.]+\.m?js|prebuilds[/][\w-]+[/]ferrule\.\w+\.node)$/.test(name)).sort(), [
      'LICENSE', 'README.md', 'THIRD-PARTY.md', 'index.d.mts', 'index.d.ts', 'package.json', 'scripts/build.js',
    ]);
    assert.deepEqual(names.filter((name) => name.startsWith('lib/')).sort(), fs.readdirSync(path.join(package_, 'lib')).map((name) => `lib/${name}`).sort());
    assert.equal(names.filter((name) => name.endsWith('.node')).length, 1);
    fs.rmSync(repository, { recursive: true });

    const npm = fs.realpathSync(spawnSync('which', ['npm'], { encoding: 'utf8' }).stdout.trim());
    const bare = pathWith(path.join(folder, 'bin'), { node: process.execPath, npm, sh: '/bin/sh' });
    for (const options of [[], ['--ignore-scripts']]) {
      const user = path.join(folder, `user${options.length}`);
      fs.mkdirSync(user);
      run('npm', ['install', '--offline', '--no-audit', '--no-fund', ...options, path.join(folder, filename)], user, { PATH: bare });
      fs.writeFileSync(path.join(user, 'both.mjs'), both);
      for (const node of nodes()) {
        assert.equal(run(node, ['-e', program], user, { PATH: bare }), 'installed\n', node);
        assert.equal(run(node, ['both.mjs'], user, { PATH: bare }), 'true true\ntrue\n', node);
      }
      // The addon needs nothing but what every system has.
      const installed = path.join(user, 'node_modules', 'ferrule');
      const binary = path.join(installed, names.find((name) => name.endsWith('.node')));
      const needed = run('readelf', ['-d', binary], user).match(/NEEDED.*\[.*\]/g) ?? [];
      assert.ok(needed.length > 0);
      assert.deepEqual(needed.filter((line) => !/\[(libc\.so\.6|libpthread\.so\.0|ld-linux[\w.-]*)\]/.test(line)), []);
      // Another platform's package says what is missing.
      fs.rmSync(binary);
      const refusal = "try { require('ferrule') } catch (error) { console.log(error.code, error.message) }";
      assert.match(
        run(process.execPath, ['-e', refusal], user),
        /^ERR_FERRULE_ADDON ferrule: the addon could not be found: No native build was found for platform=\w+ arch=\w+ .*\. Build it with /,
      );
      const { stdout, stderr, status } = spawnSync(process.execPath, [path.join(installed, 'scripts', 'build.js')], { encoding: 'utf8' });
      assert.equal(status, 1);
      assert.match(stdout + stderr, /^ferrule: the package has no addon for [\w-]+, and no sources\./);
    }
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
});
