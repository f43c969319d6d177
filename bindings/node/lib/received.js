'use strict';

const net = require('node:net');
const native = require('./native.js');
const { check, codedError, status, statusError } = require('./errors.js');
const { handleOf, isHandle, openFd, received } = require('./handle.js');
const { isConnected, passenger, toDgram, toServer, toSocket } = require('./objects.js');
const { checkBoolean, checkOptions } = require('./options.js');
const { KINDS, Pipe } = require('./pipe.js');
const { TCP } = require('./tcp.js');
const { UDP } = require('./udp.js');

/** Only messages bring received handles. */
const token = Symbol('ferrule.received');

/** Of the class, for the modules that receive. */
let makeReceived;
/** The same, for what is converted here. */
let convertReceived;

/**
 * A handle that came with a message. It owns the descriptor, until that is taken out, made something of, or
 * closed. One that nobody refers to any more is closed when the collector finds it.
 */
class ReceivedHandle {
  /** The addon's object, which owns the descriptor. */
  #owner;
  #kind;

  /** Not for callers: messages bring them. */
  constructor(key, kind, owner) {
    if (key !== token) {
      throw codedError(TypeError, 'ERR_ILLEGAL_CONSTRUCTOR', 'received handles come with messages');
    }
    this.#kind = kind;
    this.#owner = owner;
    received.add(this);
  }

  static {
    makeReceived = (kind, owner) => new ReceivedHandle(token, KINDS[kind], owner);
    convertReceived = (handle, make) => handle.#convert(make, 'toHandle', Pipe, TCP, UDP);
  }

  /** 'pipe', 'tcp' or 'udp'; 'other' is a descriptor that is none of them. */
  get kind() {
    return this.#kind;
  }

  /** The descriptor, which stays this object's; -1 once it is closed or taken. */
  get fd() {
    return native.receivedFd(this.#owner);
  }

  /** Whether it was closed, or taken. */
  get closed() {
    return native.receivedFd(this.#owner) < 0;
  }

  /**
   * Take the descriptor out.
   *
   * @returns {number} the descriptor, which the caller must close
   */
  detach() {
    const fd = openFd(this, 'detach');
    native.receivedRelease(this.#owner);
    return fd;
  }

  /**
   * Make a handle of it, on this thread's loop.
   *
   * @param {object} [options] as for the constructor of Pipe or TCP
   * @returns {Pipe | TCP | UDP} as `kind` says; it throws ERR_FERRULE_KIND, with nothing taken, for 'other'
   */
  open(options) {
    const handle = this.#make(options);
    try {
      handle.open(openFd(this, 'open'));
    } catch (error) {
      dispose(handle);
      throw error;
    }
    native.receivedRelease(this.#owner);
    return handle;
  }

  /**
   * Make a net.Socket of a connected pipe or TCP socket.
   *
   * @param {import('node:net').SocketConstructorOpts} [options]
   * @returns {import('node:net').Socket}
   */
  toSocket(options) {
    return this.#convert((handle) => toSocket(handle, options), 'toSocket', Pipe, TCP);
  }

  /**
   * Make a net.Server of a listening pipe or TCP socket.
   *
   * @param {import('node:net').ServerOpts | ((socket: import('node:net').Socket) => void)} [options]
   * @param {(socket: import('node:net').Socket) => void} [onconnection]
   * @returns {import('node:net').Server} it emits 'listening'
   */
  toServer(options, onconnection) {
    return this.#convert((handle) => toServer(handle, options, onconnection), 'toServer', Pipe, TCP);
  }

  /**
   * Make a dgram.Socket of a UDP socket.
   *
   * @param {import('node:dgram').SocketOptions} [options]
   * @returns {import('node:dgram').Socket}
   */
  toDgram(options) {
    return this.#convert((handle) => toDgram(handle, options), 'toDgram', UDP);
  }

  /** Close it. Closing again, or after it was taken, does nothing. */
  close() {
    native.receivedClose(this.#owner);
  }

  /** The same as close(), for `using`. */
  [Symbol.dispose ?? Symbol.for('nodejs.dispose')]() {
    this.close();
  }

  #make(options) {
    switch (this.#kind) {
      case 'pipe':
        return new Pipe(options);
      case 'tcp':
        return new TCP(options);
      case 'udp':
        checkOptions(options);
        return new UDP();
      default:
        throw statusError(status.EKIND, 'open', { detail: 'the descriptor is no handle: take it with detach()' });
    }
  }

  /** By way of a handle; the descriptor stays here when that is not possible. */
  #convert(make, syscall, ...kinds) {
    const handle = this.#make();
    if (!kinds.some((Kind) => handle instanceof Kind)) {
      dispose(handle);
      throw statusError(status.EKIND, syscall, { detail: `a handle of the kind '${this.#kind}' cannot become that` });
    }
    try {
      handle.open(openFd(this, syscall));
    } catch (error) {
      dispose(handle);
      throw error;
    }
    let made;
    try {
      made = make(handle);
    } catch (error) {
      // Back to where it was; unless it is closed, because it was out of the handle already.
      if (handleOf(handle).detach() < 0) native.receivedRelease(this.#owner);
      dispose(handle);
      throw error;
    }
    native.receivedRelease(this.#owner);
    return made;
  }
}

/** Let go of a handle of any kind. */
function dispose(handle) {
  if (handle instanceof UDP) handle.close();
  else handle.destroy();
}

/** What Node's own object has read, or has still to write, would be lost with it. */
function checkNothingWaits(object) {
  if (!(object instanceof net.Socket) || object.readableLength + object.writableLength === 0) return;
  throw statusError(status.EBUSY, 'fromHandle', { detail: 'data waits in the socket to be read or written' });
}

/**
 * A Pipe, TCP or UDP of whatever can be passed, as if it had been passed to here.
 *
 * @param {unknown} object a net.Socket, net.Server or dgram.Socket, which is closed unless it is kept; or a FileHandle, a
 *   descriptor, a ReceivedHandle, a Pipe, TCP or UDP, which stay as they are
 * @param {object} [options] as for the constructor of Pipe or TCP. keepOpen: leave one of Node's own objects open
 * @returns {Pipe | TCP | UDP}
 */
function fromHandle(object, options) {
  const keep = checkBoolean(checkOptions(options).keepOpen, 'options.keepOpen', false);
  const { target, sent, release } = passenger(object, keep, 'fromHandle');
  try {
    if (!keep) checkNothingWaits(object);
    const given = target();
    const fd = typeof given === 'number' ? given : check(given.fileno(), 'fromHandle');
    const owner = native.receivedCopy(fd);
    if (typeof owner === 'number') throw statusError(owner, 'fromHandle');
    const copy = makeReceived(native.receivedKind(owner), owner);
    let handle;
    try {
      handle = copy.open(options);
    } finally {
      // Once it is open, the descriptor is the handle's.
      copy.close();
    }
    sent();
    return handle;
  } finally {
    release();
  }
}

/** The one of Node's own objects that a handle fits. */
function convert(handle, options) {
  if (handle instanceof UDP) return toDgram(handle, options);
  return isConnected(handle) ? toSocket(handle, options) : toServer(handle, options);
}

/**
 * One of Node's own objects of a handle, which is closed.
 *
 * @param {Pipe | TCP | UDP | ReceivedHandle} handle
 * @param {object} [options] for the constructor of Node's object
 * @returns {import('node:net').Socket | import('node:net').Server | import('node:dgram').Socket} of a connection, a
 *   listener, a UDP socket
 */
function toHandle(handle, options) {
  const given = checkOptions(options);
  if (received.has(handle)) return convertReceived(handle, (made) => convert(made, given));
  if (isHandle(handle)) return convert(handle, given);
  throw codedError(TypeError, 'ERR_INVALID_ARG_TYPE', 'handle must be a Pipe, TCP or UDP, or a ReceivedHandle');
}

module.exports = { ReceivedHandle, fromHandle, makeReceived, toHandle };
