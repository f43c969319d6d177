'use strict';

/** Checks what callers pass, and brings it into the shape that the addon takes. */

const { fileURLToPath } = require('node:url');
const { codedError, status, statusError } = require('./errors.js');

const LONGEST_TIME = 0x7fffffff;
const LARGEST_MESSAGE = 0xffffffff;
const MOST_HANDLES = 64;
const LONGEST_BUSY_POLL = 1;
/** Flags of the addon's options. */
const ANY_HOST = 1;
const INLINE = 2;
const ANY_USER = 4;

function typeError(name, expected, value) {
  const given = value === null ? 'null' : typeof value;
  return codedError(TypeError, 'ERR_INVALID_ARG_TYPE', `${name} must be ${expected}, not ${given}`);
}

/** An options object; undefined is an empty one. */
function checkOptions(options) {
  if (options === undefined) return {};
  if (options === null || typeof options !== 'object') throw typeError('options', 'an object', options);
  return options;
}

function checkFunction(value, name) {
  if (typeof value !== 'function') throw typeError(name, 'a function', value);
  return value;
}

function checkSignal(signal) {
  if (signal !== undefined && (signal === null || typeof signal !== 'object' || !('aborted' in signal))) {
    throw typeError('options.signal', 'an AbortSignal', signal);
  }
  return signal;
}

/** A whole number between two others; undefined gives `missing`. */
function checkInteger(value, name, least, most, missing) {
  if (value === undefined) return missing;
  if (typeof value !== 'number') throw typeError(name, 'a number', value);
  if (!Number.isInteger(value) || value < least || value > most) {
    throw codedError(RangeError, 'ERR_OUT_OF_RANGE', `${name} must be a whole number from ${least} to ${most}, not ${value}`);
  }
  return value;
}

/** Milliseconds for the library: 0 is the default, -1 no limit. */
function checkTime(value, name) {
  if (value === Infinity) return -1;
  return checkInteger(value, name, 1, LONGEST_TIME, 0);
}

/** Milliseconds, also parts of one, as microseconds for the library: 0 is the default, -1 never. */
function checkBusyPoll(value) {
  const name = 'options.busyPoll';
  if (value === undefined) return 0;
  if (typeof value !== 'number') throw typeError(name, 'a number', value);
  if (!(value >= 0 && value <= LONGEST_BUSY_POLL)) {
    throw codedError(RangeError, 'ERR_OUT_OF_RANGE', `${name} must be from 0 to ${LONGEST_BUSY_POLL}, not ${value}`);
  }
  return value === 0 ? -1 : Math.max(1, Math.round(value * 1000));
}

/** A secret as the addon takes it; text is UTF-8. */
function checkSecret(value) {
  if (value === undefined) return undefined;
  const secret = typeof value === 'string' ? Buffer.from(value) : value;
  if (!(secret instanceof Uint8Array)) throw typeError('options.secret', 'a Buffer or a string', value);
  return secret;
}

/**
 * The options of channels, as the addon takes them.
 *
 * @returns {{ numbers: Float64Array, secret: Uint8Array | undefined, captureRejections: boolean | undefined }}
 */
function channelOptions(options) {
  return {
    numbers: channelNumbers(options),
    secret: checkSecret(options.secret),
    captureRejections: checkBoolean(options.captureRejections, 'options.captureRejections', undefined),
  };
}

function channelNumbers(options) {
  const { wire = 'native' } = options;
  if (wire !== 'native' && wire !== 'plain') {
    throw codedError(TypeError, 'ERR_INVALID_ARG_VALUE', `options.wire must be 'native' or 'plain', not ${String(wire)}`);
  }
  return Float64Array.of(
    wire === 'plain' ? 1 : 0,
    checkInteger(options.maxHandles, 'options.maxHandles', 0, MOST_HANDLES, 0),
    checkInteger(options.maxMessage, 'options.maxMessage', 1, LARGEST_MESSAGE, 0),
    checkInteger(options.highWater, 'options.highWater', 1, Number.MAX_SAFE_INTEGER, 0),
    checkInteger(options.hardCap, 'options.hardCap', 1, Number.MAX_SAFE_INTEGER, 0),
    checkTime(options.timeout, 'options.timeout'),
    checkTime(options.handshakeTimeout, 'options.handshakeTimeout'),
    checkTime(options.closeTimeout, 'options.closeTimeout'),
    checkTime(options.frameTimeout, 'options.frameTimeout'),
    (checkBoolean(options.anyHost, 'options.anyHost', false) ? ANY_HOST : 0) |
      (checkBoolean(options.inline, 'options.inline', false) ? INLINE : 0) |
      (checkBoolean(options.anyUser, 'options.anyUser', false) ? ANY_USER : 0),
    checkBusyPoll(options.busyPoll),
  );
}

/** The address of a channel or server. */
function checkAddress(address) {
  if (typeof address !== 'string') throw typeError('address', 'a string', address);
  if (address.includes('\0')) {
    throw statusError(status.EADDRESS, 'address', { detail: 'the address has a NUL character in it' });
  }
  return address;
}

function checkBoolean(value, name, missing) {
  if (value === undefined) return missing;
  if (typeof value !== 'boolean') throw typeError(name, 'a boolean', value);
  return value;
}

function checkPort(value) {
  if (value === undefined) throw typeError('port', 'a number', value);
  return checkInteger(value, 'port', 0, 0xffff);
}

/** A literal address: names are not looked up. */
function checkHost(host) {
  if (typeof host !== 'string') throw typeError('host', 'a string', host);
  if (host.includes('\0')) {
    throw statusError(status.EADDRESS, 'address', { detail: 'the host has a NUL character in it' });
  }
  return host;
}

/** The name of a pipe, as what the addon takes: a string or bytes. */
function checkName(name) {
  if (name instanceof URL) return fileURLToPath(name);
  if (typeof name !== 'string' && !(name instanceof Uint8Array)) {
    throw typeError('name', 'a string, a Buffer or a file: URL', name);
  }
  return name;
}

module.exports = {
  channelOptions,
  checkAddress,
  checkBoolean,
  checkFunction,
  checkHost,
  checkInteger,
  checkName,
  checkOptions,
  checkPort,
  checkSignal,
  checkTime,
  typeError,
};
