'use strict';

/** What is known about a channel and who is at its other end. Each takes the addon's object. */

const native = require('./native.js');
const { check, codedError } = require('./errors.js');
const { checkInteger, typeError } = require('./options.js');

const LARGEST = 0x7fffffff;

/** What the system did not tell is undefined. */
function credentials(pid, uid, gid) {
  const [process, user, group] = [pid, uid, gid].map((number) => (number < 0 ? undefined : number));
  return { pid: process, uid: user, gid: group };
}

function credentialsOf(handle) {
  const who = handle.credentials();
  if (typeof who === 'number') check(who, 'peerCredentials');
  return credentials(...who);
}

function infoOf(handle) {
  const numbers = new Float64Array(8);
  check(handle.info(numbers), 'info');
  const [wire, version, maxMessage, peerMaxMessage, maxHandles, peerMaxHandles, queued, highWater] = numbers;
  return {
    wire: wire === 1 ? 'plain' : 'native',
    version,
    maxMessage,
    peerMaxMessage,
    maxHandles,
    peerMaxHandles,
    queued,
    highWater,
  };
}

function statsOf(handle) {
  const numbers = new Float64Array(8);
  check(handle.stats(numbers), 'stats');
  const [messagesIn, messagesOut, bytesIn, bytesOut, handlesIn, handlesOut, queued, highWaterHits] = numbers;
  return { messagesIn, messagesOut, bytesIn, bytesOut, handlesIn, handlesOut, queued, highWaterHits };
}

/**
 * The address of a listening socket that a service manager passed (`LISTEN_FDS`), for listen().
 *
 * @param {string | null} [name] as the service manager calls it; by number unless given
 * @param {number} [index] which of those with this name, from 0
 * @returns {string}
 */
function activationAddress(name, index) {
  if (name !== undefined && name !== null && typeof name !== 'string') throw typeError('name', 'a string', name);
  if (name?.includes('\0')) throw codedError(TypeError, 'ERR_INVALID_ARG_VALUE', 'name has a NUL character in it');
  const address = native.activationAddress(name ?? undefined, checkInteger(index, 'index', 0, LARGEST, 0));
  if (typeof address === 'number') check(address, 'activationAddress');
  return String(address);
}

module.exports = { activationAddress, credentials, credentialsOf, infoOf, statsOf };
