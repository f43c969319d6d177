'use strict';

/** Loads the addon, once for CommonJS and ES modules alike. */

const path = require('node:path');

/** The package's own build, or the one that the environment names. */
function find() {
  return process.env.FERRULE_NODE_ADDON || path.join(__dirname, '..', 'build', 'node', 'ferrule.node');
}

function load() {
  const file = path.resolve(find());
  let addon;
  try {
    addon = require(file);
  } catch (cause) {
    const [reason] = cause.message.split('\n');
    const error = new Error(
      `ferrule: the addon could not be loaded from ${file}: ${reason}. ` +
        'Build it with "node scripts/build.js" in the folder of the package.',
      { cause },
    );
    error.code = 'ERR_FERRULE_ADDON';
    throw error;
  }
  // The addon runs on Node's own loop. With another copy of libuv in its place, that would end in a crash.
  if (addon.uvVersion !== process.versions.uv) {
    const error = new Error(
      `ferrule: the addon runs on libuv ${addon.uvVersion}, but this Node on ${process.versions.uv}`,
    );
    error.code = 'ERR_FERRULE_UV';
    throw error;
  }
  return addon;
}

module.exports = load();
