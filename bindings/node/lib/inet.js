'use strict';

/** What TCP and UDP sockets have in common. */

const { check, codedError } = require('./errors.js');
const { handleOf } = require('./handle.js');
const { checkBoolean, checkHost, checkOptions, checkPort } = require('./options.js');

const IPV6_ONLY = 1;
const REUSE_PORT = 2;

/** Flags of the addon by the families that Node has. */
const FAMILIES = new Map([[undefined, 0], ['IPv4', 1], ['IPv6', 2]]);

/** The family of a socket that is made at once, as the addon takes it. */
function checkFamily(family) {
  const flags = FAMILIES.get(family);
  if (flags === undefined) {
    throw codedError(TypeError, 'ERR_INVALID_ARG_VALUE', `options.family must be 'IPv4' or 'IPv6', not ${String(family)}`);
  }
  return flags;
}

/** An address as Node has them. */
function inetAddress(address, port) {
  return { address, port, family: address.includes(':') ? 'IPv6' : 'IPv4' };
}

/** How an address is written in an error. */
function inetText(host, port) {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

function bindInet(object, Class, host, port, options) {
  const handle = handleOf(object, Class);
  const { ipv6Only, reusePort } = checkOptions(options);
  const flags =
    (checkBoolean(ipv6Only, 'options.ipv6Only', false) ? IPV6_ONLY : 0) +
    (checkBoolean(reusePort, 'options.reusePort', false) ? REUSE_PORT : 0);
  check(handle.bind(checkHost(host), checkPort(port), flags), 'bind', inetText(host, port));
}

function nameOfInet(object, Class, peer) {
  const name = handleOf(object, Class).name(peer);
  if (typeof name === 'number') check(name, peer ? 'getpeername' : 'getsockname');
  return inetAddress(...name);
}

module.exports = { bindInet, checkFamily, inetAddress, inetText, nameOfInet };
