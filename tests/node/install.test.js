'use strict';

/** npm install from a user's folder: it builds the addon from the repository. */

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
    filter: (from) => !['build', 'node_modules'].includes(path.relative(package_, from).split(path.sep)[0]),
  });
  // Instead of fetching it.
  const headers = path.join('node_modules', 'node-api-headers');
  fs.cpSync(path.join(package_, headers), path.join(to, 'bindings', 'node', headers), { recursive: true });
}

function run(command, args, cwd) {
  const env = { ...process.env, FERRULE_NODE_ADDON: '', NODE_TEST_CONTEXT: undefined };
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
