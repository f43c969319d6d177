'use strict';

/**
 * Errors as Node's own have them: `code`, `errno`, `syscall`, and `status`, the name in the library.
 *
 * The code is the platform's name where it has one for the same thing (ECONNREFUSED, EPROTO), otherwise
 * ERR_FERRULE_ and the status without its FER_E: FER_ECLOSED is ERR_FERRULE_CLOSED.
 */

const os = require('node:os');
const util = require('node:util');
const native = require('./native.js');

/** What only the library has a name for. */
const OWN = new Set(['FER_EKIND', 'FER_ECLOSED', 'FER_ETHREAD', 'FER_EFORK', 'FER_ECALLBACK', 'FER_EADDRESS', 'FER_EVERSION']);

/** Node's negative number for a platform's error name; undefined when it has none. */
function systemNumber(name) {
  for (const [number, [known]] of util.getSystemErrorMap()) {
    if (known === name) return number;
  }
  const number = os.constants.errno[name];
  return number === undefined ? undefined : -number;
}

/** Status number -> { name, text, code, errno }. */
const statuses = new Map();
/** Status name without FER_ -> number. */
const status = {};

for (const [name, { status: number, text }] of Object.entries(native.statuses)) {
  const short = name.slice('FER_'.length);
  const errno = OWN.has(name) ? undefined : systemNumber(short === 'EUNKNOWN' ? 'UNKNOWN' : short === 'EOF' ? 'EOF' : short);
  const code = errno === undefined ? `ERR_FERRULE_${short.replace(/^E/, '')}` : short;
  statuses.set(number, { name, text, code, errno });
  status[short] = number;
}

/**
 * The error for a status.
 *
 * @param {number} number a negative status
 * @param {string} syscall what was attempted, such as 'connect'
 * @param {{ detail?: string, address?: string }} [about] what is known besides
 * @returns {Error}
 */
function statusError(number, syscall, { detail, address } = {}) {
  const { name, text, code, errno } = statuses.get(number) ?? statuses.get(status.EUNKNOWN);
  const where = address === undefined ? '' : ` ${address}`;
  const error = new Error(`${syscall} ${code}${where}: ${detail || text}`);
  error.code = code;
  if (errno !== undefined) error.errno = errno;
  error.syscall = syscall;
  error.status = name;
  if (address !== undefined) error.address = address;
  return error;
}

/**
 * Throw when a call that just returned gave an error.
 *
 * @param {number} number what the call returned
 * @param {string} syscall what was attempted
 * @param {string} [address]
 * @returns {number} the same number
 */
function check(number, syscall, address) {
  if (number < 0) throw statusError(number, syscall, { detail: native.detail(), address });
  return number;
}

/**
 * @param {typeof TypeError | typeof RangeError | typeof Error} Class
 * @param {string} code
 * @param {string} message
 * @returns {Error}
 */
function codedError(Class, code, message) {
  const error = new Class(message);
  error.code = code;
  return error;
}

/**
 * What Node's own functions reject with when an AbortSignal fires.
 *
 * @param {AbortSignal} signal
 * @returns {Error}
 */
function abortError(signal) {
  const error = new Error('The operation was aborted', { cause: signal.reason });
  error.name = 'AbortError';
  error.code = 'ABORT_ERR';
  return error;
}

module.exports = { abortError, check, codedError, status, statusError };
