'use strict';

/** What TCP and UDP sockets have in common. */

const { check } = require('./errors.js');
const { handleOf } = require('./handle.js');
const { checkBoolean, checkHost, checkOptions, checkPort } = require('./options.js');

const IPV6_ONLY = 1;
const REUSE_PORT = 2;

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

module.exports = { bindInet, inetAddress, inetText, nameOfInet };
