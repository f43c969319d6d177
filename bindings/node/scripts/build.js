'use strict';

/**
 * Builds the addon from the repository that this package lies in, and puts it into prebuilds/, where node-gyp-build finds
 * it: npm runs this on install and before it packs. A package that was packed has its addon there, and nothing is built.
 *
 * Needed: CMake 3.22, a C compiler, pkg-config, libsodium, and libuv's headers. Nothing is downloaded, except that npm
 * fetches node-gyp-build when it is not there, and node-api-headers when Node's own headers are not there either.
 */

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');

const folder = path.resolve(__dirname, '..');
const source = path.resolve(folder, '..', '..');
const build = path.join(folder, 'build');
const fetched = path.join(build, 'headers');
const addon = path.join(build, 'node', 'ferrule.node');
const loader = path.join(folder, 'node_modules', 'node-gyp-build');
const platform = `${process.platform}-${process.arch}`;

/** Settings of npm that say where and what it installs. */
const KEPT_OUT = /^npm_config_(global|prefix|local_prefix|location|omit|include|dry_run|package_lock_only|install_links)$/i;

function fail(message) {
  process.stderr.write(`ferrule: ${message}\n`);
  process.exit(1);
}

function run(command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, { cwd: folder, stdio: 'inherit', ...options });
  if (error?.code === 'ENOENT') fail(`${command} was not found. ${needs()}`);
  if (error) fail(`${command}: ${error.message}`);
  if (status !== 0) fail(`${command} failed (${signal ?? `exit code ${status}`}). ${needs()}`);
}

function needs() {
  return (
    'The addon is built with CMake 3.22 or newer, a C compiler, pkg-config, libsodium and the headers of libuv; ' +
    'on Debian and Ubuntu: apt install build-essential cmake pkg-config libsodium-dev libuv1-dev'
  );
}

function has(command) {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

/** The folder of node_api.h in the package node-api-headers; undefined when it is not installed there. */
function packageHeaders(where) {
  try {
    return require(require.resolve('node-api-headers', { paths: [where] })).include_dir;
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return undefined;
  }
}

/** The same in the headers of the Node that runs this. */
function ownHeaders() {
  const include = path.resolve(process.execPath, '..', '..', 'include', 'node');
  return fs.existsSync(path.join(include, 'node_api.h')) ? include : undefined;
}

/** npm does not install what a linked folder needs: fetch such a package, into the build folder. */
function fetch(name) {
  const { dependencies, devDependencies } = require('../package.json');
  const wanted = `${name}@${{ ...dependencies, ...devDependencies }[name]}`;
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  // The settings of the npm that runs this, its prefix and its --global for example, are not for this one.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !KEPT_OUT.test(name)));
  fs.mkdirSync(fetched, { recursive: true });
  run(npm[0], [...npm.slice(1), 'install', '--prefix', fetched, '--no-package-lock', '--ignore-scripts', wanted], { env });
  return path.join(fetched, 'node_modules', name);
}

function fetchHeaders() {
  fetch('node-api-headers');
  return packageHeaders(fetched);
}

function headers() {
  const found = packageHeaders(folder) ?? packageHeaders(fetched) ?? ownHeaders() ?? fetchHeaders();
  return found ?? fail('node_api.h was not found');
}

/** The package loads its addon with it, and brings it along when it is packed. */
function provideLoader() {
  if (fs.existsSync(loader)) return;
  fs.cpSync(fetch('node-gyp-build'), loader, { recursive: true });
}

/** The addon that the package would load. */
function find() {
  return require(loader).resolve(folder);
}

/** Where it is put: as prebuildify names it. Only Linux has several C libraries. */
function target() {
  const libc = fs.existsSync('/etc/alpine-release') ? '.musl' : '.glibc';
  return path.join(folder, 'prebuilds', platform, `ferrule${process.platform === 'linux' ? libc : ''}.node`);
}

function configure() {
  const options = {
    CMAKE_BUILD_TYPE: 'Release',
    FER_BUILD_NODE: 'ON',
    FER_BUILD_PYTHON: 'OFF',
    FER_BUILD_STATIC: 'OFF',
    FER_BUILD_TESTS: 'OFF',
    FER_BUILD_TOOLS: 'OFF',
    FER_BUILD_EXAMPLES: 'OFF',
    FER_BUILD_BENCH: 'OFF',
    FER_INSTALL: 'OFF',
    FER_NODE_STATIC_SODIUM: 'ON',
    FER_NODE_API_INCLUDE_DIR: headers(),
  };
  const defines = Object.entries(options).map(([name, value]) => `-D${name}=${value}`);
  // A folder that was configured before keeps its generator.
  const fresh = !fs.existsSync(path.join(build, 'CMakeCache.txt'));
  const generator = fresh && has('ninja') ? ['-G', 'Ninja'] : [];
  run('cmake', ['-S', source, '-B', build, ...generator, ...defines]);
}

function isPacked() {
  return !fs.existsSync(path.join(source, 'capi', 'include', 'ferrule.h'));
}

function checkPacked() {
  try {
    find();
  } catch {
    fail(`the package has no addon for ${platform}, and no sources. Install it from the repository.`);
  }
}

function main() {
  if (isPacked()) return checkPacked();
  provideLoader();
  configure();
  const jobs = String(Math.max(1, os.cpus().length));
  run('cmake', ['--build', build, '--target', 'ferrule_node', '--parallel', jobs]);
  const file = target();
  fs.mkdirSync(path.dirname(file), { recursive: true });
  // Another process may have the old one loaded: it keeps its file.
  fs.rmSync(file, { force: true });
  fs.copyFileSync(addon, file);
  const found = find();
  if (found !== file) fail(`${found} would be loaded, not ${file}: remove it`);
}

main();
