'use strict';

/** What pipes, TCP and UDP sockets have in common. */

const native = require('./native.js');
const { check, codedError, status, statusError } = require('./errors.js');
const { checkInteger } = require('./options.js');

const LARGEST = 0x7fffffff;

/** Pipe, TCP or UDP -> addon object. */
const handles = new WeakMap();
/** Addon object -> Pipe, TCP or UDP. */
const owners = new WeakMap();
/** Pipe, TCP or UDP -> what keeps it from being closed. */
const uses = new WeakMap();

/** Every ReceivedHandle. */
const received = new WeakSet();

/** The descriptor of a ReceivedHandle; it throws when that is gone. */
function openFd(handle, syscall) {
  const { fd } = handle;
  if (fd < 0) throw statusError(status.ECLOSED, syscall, { detail: 'the received handle is closed, or was taken' });
  return fd;
}

/** Have the addon's calls of this name reach the object that they are about. */
function forward(name, deliver) {
  native.register(name, function onHandle(...args) {
    const object = owners.get(this);
    if (object !== undefined) deliver(object, ...args);
  });
}

/** `handle` is the addon's side of `object`. */
function own(object, handle) {
  handles.set(object, handle);
  owners.set(handle, object);
}

/** Whether it is a Pipe, a TCP or a UDP. */
function isHandle(object) {
  return handles.has(object);
}

/** The addon's side, which is of this class of the addon; any unless given. */
function handleOf(object, Class) {
  const handle = handles.get(object);
  if (handle === undefined || (Class !== undefined && !(handle instanceof Class))) {
    throw codedError(TypeError, 'ERR_INVALID_THIS', `not a ${Class?.name ?? 'handle'} of ferrule`);
  }
  return handle;
}

/**
 * Keep a handle open until the function that this gives is called. A close waits for that.
 *
 * @returns {() => void}
 */
function keepOpen(object) {
  const use = uses.get(object) ?? { count: 0, waiting: [] };
  uses.set(object, use);
  use.count += 1;
  let released = false;
  return () => {
    if (released) return;
    released = true;
    use.count -= 1;
    if (use.count === 0) for (const close of use.waiting.splice(0)) close();
  };
}

/** Call back when nothing keeps the handle open: now, if that is so. */
function whenUnused(object, close) {
  const use = uses.get(object);
  if (use === undefined || use.count === 0) close();
  else use.waiting.push(close);
}

/** Base with the members that all handles have. */
function withHandle(Base) {
  return class Handle extends Base {
    /** The descriptor. It stays the handle's. */
    fileno() {
      return check(handleOf(this).fileno(), 'fileno');
    }

    /**
     * Take the descriptor out. The handle closes; the socket goes on, and so does the file of its name.
     *
     * @returns {number} the descriptor, which the caller must close
     */
    detach() {
      const handle = handleOf(this);
      if ((uses.get(this)?.count ?? 0) > 0) {
        throw statusError(status.EBUSY, 'detach', { detail: 'the handle waits to be passed' });
      }
      this._beforeDetach();
      const fd = check(handle.detach(), 'detach');
      this._afterDetach();
      return fd;
    }

    /** Keep Node from exiting while the handle waits for something, as it does at first. */
    ref() {
      return this.#hold(true, 'ref');
    }

    /** Let Node exit though the handle is open. */
    unref() {
      return this.#hold(false, 'unref');
    }

    /** Whether the handle keeps Node from exiting while it waits for something. */
    hasRef() {
      return handleOf(this).held() === 1;
    }

    #hold(on, syscall) {
      const number = handleOf(this).hold(on);
      // What is closed holds nothing.
      if (number !== status.ECLOSED) check(number, syscall);
      return this;
    }

    /** The size of the kernel's buffer for what is sent, in bytes. Linux tells twice what was set. */
    get sendBufferSize() {
      return check(handleOf(this).bufferSize(false), 'getsockopt');
    }

    set sendBufferSize(bytes) {
      setBufferSize(this, false, bytes, 'sendBufferSize');
    }

    /** The size of the kernel's buffer for what is received, in bytes. Linux tells twice what was set. */
    get receiveBufferSize() {
      return check(handleOf(this).bufferSize(true), 'getsockopt');
    }

    set receiveBufferSize(bytes) {
      setBufferSize(this, true, bytes, 'receiveBufferSize');
    }
  };
}

function setBufferSize(object, receive, bytes, name) {
  const handle = handleOf(object);
  check(handle.setBufferSize(receive, checkInteger(bytes, name, 1, LARGEST, 0)), 'setsockopt');
}

module.exports = { LARGEST, forward, handleOf, isHandle, keepOpen, openFd, own, received, whenUnused, withHandle };
