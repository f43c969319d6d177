'use strict';

/** Where the addon of a packed package is: prebuilds/PLATFORM-MACHINE/ferrule.LIBC.node, as prebuildify names it. */

const fs = require('node:fs');
const path = require('node:path');

/** Which C library Linux has; nothing elsewhere. */
function libc() {
  if (process.platform !== 'linux') return '';
  return fs.existsSync('/etc/alpine-release') ? '.musl' : '.glibc';
}

function prebuilt() {
  const folder = path.join(__dirname, '..', 'prebuilds', `${process.platform}-${process.arch}`);
  return path.join(folder, `ferrule${libc()}.node`);
}

module.exports = { prebuilt };
