'use strict';

// For tests, and for programs that tests run.

const fs = require('node:fs');

/** The open descriptors of this process and what they are. */
function descriptors() {
  const found = new Map();
  for (const name of fs.readdirSync('/proc/self/fd')) {
    try {
      found.set(Number(name), fs.readlinkSync(`/proc/self/fd/${name}`));
    } catch (error) {
      // The one that listed the folder.
      if (error.code !== 'ENOENT') throw error;
    }
  }
  return found;
}

module.exports = { descriptors };
