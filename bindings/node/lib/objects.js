'use strict';

/** Handles as Node's own objects, and Node's own objects as what can be passed. */

const dgram = require('node:dgram');
const fs = require('node:fs');
const net = require('node:net');
const { check, codedError, status, statusError } = require('./errors.js');
const { LARGEST, handleOf, isHandle, keepOpen, openFd, received } = require('./handle.js');
const { checkFunction, checkInteger, checkOptions } = require('./options.js');

/** The most handles that one message carries. */
const MOST = 64;

/** Give the descriptor of a handle to `make`; it is closed when that throws. */
function handOver(object, make) {
  const fd = object.detach();
  try {
    return make(fd);
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** Whether the stream is a connection: what has a peer. */
function isConnected(object) {
  const peer = handleOf(object).name(true);
  if (typeof peer !== 'number') return true;
  if (peer === status.ENOTCONN) return false;
  check(peer, 'getpeername');
  return false;
}

/** A net.Socket of a connection. */
function toSocket(object, options) {
  const given = checkOptions(options);
  if (!isConnected(object)) throw statusError(status.ENOTCONN, 'toSocket');
  return handOver(object, (fd) => new net.Socket({ readable: true, writable: true, ...given, fd }));
}

/** A net.Server of a listener. */
function toServer(object, options, onconnection) {
  const listener = typeof options === 'function' ? options : onconnection;
  const given = checkOptions(typeof options === 'function' ? undefined : options);
  if (listener !== undefined) checkFunction(listener, 'onconnection');
  if (isConnected(object)) throw statusError(status.EISCONN, 'toServer');
  return handOver(object, (fd) => net.createServer(given, listener).listen({ fd, exclusive: true }));
}

/** A dgram.Socket of a UDP socket. */
function toDgram(object, options) {
  const given = checkOptions(options);
  const type = object.getsockname().family === 'IPv6' ? 'udp6' : 'udp4';
  const socket = dgram.createSocket({ ...given, type });
  try {
    return handOver(object, (fd) => socket.bind({ fd, exclusive: true }));
  } catch (error) {
    socket.close();
    throw error;
  }
}

/** What Node keeps behind its own objects. There is no public way to their descriptors. */
function innerHandle(object) {
  if (!(object instanceof dgram.Socket)) return object._handle;
  const [state] = Object.getOwnPropertySymbols(object).filter((symbol) => symbol.description === 'state symbol');
  return state === undefined ? undefined : object[state]?.handle;
}

function descriptorOf(object, syscall) {
  const fd = innerHandle(object)?.fd;
  if (Number.isInteger(fd) && fd >= 0) return fd;
  const detail = `this ${object.constructor.name} has no descriptor: it is not open, or not a plain socket`;
  throw statusError(status.EBADF, syscall, { detail });
}

/**
 * What is needed of what is passed.
 *
 * @typedef {object} Passenger
 * @property {() => object | number} target the addon's handle, or a descriptor, at the time of the write
 * @property {() => void} release the kernel has it, or it failed
 * @property {() => void} sent the kernel has it
 * @property {boolean} waits whether sent() does something
 */

function nothing() {}

/**
 * @param {unknown} handle
 * @param {boolean} keep of one of Node's own objects: leave it open
 * @param {string} syscall for errors
 * @returns {Passenger}
 */
function passenger(handle, keep, syscall) {
  if (isHandle(handle)) {
    if (handle.destroyed) throw statusError(status.ECLOSED, syscall, { detail: 'the handle to pass is closed' });
    check(handleOf(handle).fileno(), syscall);
    return { target: () => handleOf(handle), release: keepOpen(handle), sent: nothing, waits: false };
  }
  if (received.has(handle)) {
    openFd(handle, syscall);
    return { target: () => openFd(handle, syscall), release: nothing, sent: nothing, waits: false };
  }
  if (typeof handle === 'number') return descriptorPassenger(checkInteger(handle, 'handle', 0, LARGEST), syscall);
  if (handle instanceof net.Socket || handle instanceof net.Server || handle instanceof dgram.Socket) {
    if (handle.encrypted) {
      throw codedError(TypeError, 'ERR_INVALID_ARG_VALUE', 'a TLS connection cannot be passed: its keys would stay here');
    }
    return nodePassenger(handle, keep, syscall);
  }
  if (Number.isInteger(handle?.fd)) return filePassenger(handle, syscall);
  throw codedError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    'handle must be a Pipe, TCP or UDP, a ReceivedHandle, a net.Socket, net.Server or dgram.Socket, a FileHandle, or a descriptor',
  );
}

function descriptorPassenger(fd, syscall) {
  try {
    fs.fstatSync(fd);
  } catch (cause) {
    if (cause.code !== 'EBADF') throw cause;
    throw statusError(status.EBADF, syscall);
  }
  return { target: () => fd, release: nothing, sent: nothing, waits: false };
}

/** A FileHandle, which tells its descriptor for as long as it is open. */
function filePassenger(file, syscall) {
  const target = () => {
    if (file.fd >= 0) return file.fd;
    throw statusError(status.EBADF, syscall, { detail: 'the file is closed' });
  };
  return { ...descriptorPassenger(target(), syscall), target };
}

/** Unless it is kept, this side stops to read at once: what comes from now on is for the receiver. */
function nodePassenger(object, keep, syscall) {
  descriptorOf(object, syscall);
  const inner = innerHandle(object);
  const paused = !keep && inner.reading === true;
  let done = false;
  if (paused) inner.readStop();
  return {
    waits: !keep,
    target: () => descriptorOf(object, syscall),
    sent() {
      done = true;
      if (keep || innerHandle(object) !== inner) return;
      if (object instanceof net.Socket) object.destroy();
      else object.close();
    },
    release() {
      if (paused && !done && innerHandle(object) === inner) inner.readStart();
    },
  };
}

/**
 * Handles that go with one message.
 *
 * @param {unknown[]} handles
 * @param {boolean} keep as for passenger()
 * @returns {{ fds: Int32Array, waits: boolean, settle: (sent: boolean) => void }} settle() is to be called once: when
 *   the message was refused or accepted, or, when something `waits`, at its end
 */
function passengers(handles, keep) {
  if (!Array.isArray(handles)) throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'options.handles must be an array');
  if (handles.length > MOST) {
    throw statusError(status.EINVAL, 'send', { detail: `a message carries at most ${MOST} handles, not ${handles.length}` });
  }
  const all = [];
  const settle = (sent) => {
    for (const one of all) {
      if (sent) one.sent();
      one.release();
    }
  };
  try {
    for (const handle of handles) all.push(passenger(handle, keep, 'send'));
    const fds = Int32Array.from(all, ({ target }) => {
      const given = target();
      return typeof given === 'number' ? given : check(given.fileno(), 'send');
    });
    return { fds, waits: all.some(({ waits }) => waits), settle };
  } catch (error) {
    settle(false);
    throw error;
  }
}

module.exports = { isConnected, passenger, passengers, toDgram, toServer, toSocket };
