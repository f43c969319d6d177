'use strict';

/** Loads the addon, once for CommonJS and ES modules alike. */

const path = require('node:path');

/** The oldest Node that has what the package needs. */
const LEAST = [18, 19];

function refuse(code, message, cause) {
  const error = new Error(`ferrule: ${message}`, cause === undefined ? undefined : { cause });
  error.code = code;
  return error;
}

/** The addon runs on Node's own loop, which others only resemble: calls into theirs end in a crash. */
function checkRuntime({ bun, deno, node }) {
  if (bun !== undefined) throw refuse('ERR_FERRULE_RUNTIME', 'Bun has no libuv that an addon can run on: use Node');
  if (deno !== undefined) throw refuse('ERR_FERRULE_RUNTIME', 'Deno has no libuv that an addon can run on: use Node');
  const [major, minor] = node.split('.').map(Number);
  if (major < LEAST[0] || (major === LEAST[0] && minor < LEAST[1])) {
    throw refuse('ERR_FERRULE_RUNTIME', `Node ${LEAST.join('.')} or newer is needed, and this is ${node}`);
  }
}

/** The one that the environment names, or that of the package, which its script has built or npm has brought. */
function find() {
  if (process.env.FERRULE_NODE_ADDON) return path.resolve(process.env.FERRULE_NODE_ADDON);
  // Not at the top of the file: what is no Node is told so first.
  return require('node-gyp-build').resolve(path.join(__dirname, '..'));
}

function load() {
  checkRuntime(process.versions);
  let file;
  let addon;
  try {
    file = find();
    addon = require(file);
  } catch (cause) {
    const [reason] = cause.message.split('\n');
    const what = file === undefined ? 'found' : `loaded from ${file}`;
    throw refuse(
      'ERR_FERRULE_ADDON',
      `the addon could not be ${what}: ${reason}. Build it with "node scripts/build.js" in the folder of the package.`,
      cause,
    );
  }
  // With another copy of libuv in its place, that would end in a crash.
  if (addon.uvVersion !== process.versions.uv) {
    throw refuse('ERR_FERRULE_UV', `the addon runs on libuv ${addon.uvVersion}, but this Node on ${process.versions.uv}`);
  }
  return addon;
}

module.exports = load();
