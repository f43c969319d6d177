'use strict';

const EventEmitter = require('node:events');
const native = require('./native.js');
const { check, status, statusError } = require('./errors.js');
const { forAddon } = require('./bytes.js');
const { LARGEST, forward, handleOf, own, whenUnused, withHandle } = require('./handle.js');
const { bindInet, checkFamily, inetAddress, inetText, nameOfInet } = require('./inet.js');
const { toDgram } = require('./objects.js');
const { checkBoolean, checkFunction, checkHost, checkInteger, checkOptions, checkPort } = require('./options.js');

const PARTIAL = 1;

/**
 * A UDP socket, which can be passed to another process.
 *
 * Datagrams are 'message' events after startReceiving(). Hosts are literal addresses: names are not looked
 * up. What fails with nobody to call back is an 'error' event; the socket goes on. 'close' comes once, at the end.
 */
class UDP extends withHandle(EventEmitter) {
  #handle;
  #closing = false;
  /** The callbacks of sends that are under way, by their numbers. */
  #sends = new Map();
  #last = 0;

  /** @param {{ family?: 'IPv4' | 'IPv6' }} [options] with a family the socket is made at once, not when an address tells it */
  constructor(options) {
    const flags = checkFamily(checkOptions(options).family);
    super();
    this.#handle = new native.UDP();
    own(this, this.#handle);
    check(this.#handle.init(flags), 'udp');
  }

  static {
    forward('udpDatagram', (udp, ...args) => udp.#onDatagram(...args));
    forward('udpSent', (udp, number, ...args) => udp.#onSent(number, ...args));
  }

  /**
   * @param {string} host
   * @param {number} port 0 picks one
   * @param {{ ipv6Only?: boolean, reusePort?: boolean }} [options]
   * @returns {this}
   */
  bind(host, port, options) {
    bindInet(this, native.UDP, host, port, options);
    return this;
  }

  /**
   * Fix the address that is sent to and received from.
   *
   * @param {number} port
   * @param {string} [host] '127.0.0.1' unless given
   * @returns {this}
   */
  connect(port, host = '127.0.0.1') {
    const handle = handleOf(this, native.UDP);
    check(handle.connect(checkHost(host), checkPort(port)), 'connect', inetText(host, port));
    return this;
  }

  /** Undo connect(). A socket that was bound to port 0 loses its port with it. */
  disconnect() {
    check(handleOf(this, native.UDP).connect(undefined, 0), 'disconnect');
    return this;
  }

  /**
   * Make it the socket of a descriptor, which it owns from then on.
   *
   * @param {number} fd
   * @returns {this}
   */
  open(fd) {
    check(handleOf(this, native.UDP).open(checkInteger(fd, 'fd', 0, LARGEST, -1)), 'open');
    return this;
  }

  /**
   * Send a datagram: send(data, port[, host][, callback]), or send(data[, callback]) from a connected socket.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike | Array} data several pieces become one datagram
   * @param {number | Function} [port]
   * @param {string | Function} [host] '127.0.0.1' unless given
   * @param {(error: Error | null) => void} [callback] the kernel has it, or it failed. Without one, a failure
   *   is an 'error' event
   * @returns {this}
   */
  send(data, port, host, callback) {
    if (typeof port === 'function') return this.send(data, undefined, undefined, port);
    if (typeof host === 'function') return this.send(data, port, undefined, host);
    const handle = handleOf(this, native.UDP);
    if (callback !== undefined) checkFunction(callback, 'callback');
    const to = destination(port, host);
    this.#last += 1;
    check(handle.send(forAddon(data), ...to, this.#last), 'send', port === undefined ? undefined : inetText(to[0], to[1]));
    this.#sends.set(this.#last, callback);
    return this;
  }

  /**
   * Send a datagram now or not at all.
   *
   * @param {string | ArrayBufferView | ArrayBufferLike | Array} data
   * @param {number} [port]
   * @param {string} [host] '127.0.0.1' unless given
   * @returns {boolean} false when it would have to wait
   */
  trySend(data, port, host) {
    const handle = handleOf(this, native.UDP);
    const to = destination(port, host);
    const number = handle.trySend(forAddon(data), ...to);
    if (number === status.EAGAIN) return false;
    check(number, 'send', port === undefined ? undefined : inetText(to[0], to[1]));
    return true;
  }

  /** Receive: each datagram is a 'message' event. A socket that is not bound gets a port. */
  startReceiving() {
    check(handleOf(this, native.UDP).receiveStart(), 'receive');
    return this;
  }

  /** Stop receiving. What is not received yet stays in the kernel. */
  stopReceiving() {
    check(handleOf(this, native.UDP).receiveStop(), 'receive');
    return this;
  }

  /**
   * Join a multicast group.
   *
   * @param {string} group its address
   * @param {string} [local] the address of the interface to receive on; with IPv6 its zone tells which: '::%eth0'.
   *   The system chooses unless given
   * @returns {this}
   */
  addMembership(group, local) {
    return this.#setMembership(group, local, true, 'addMembership');
  }

  /**
   * Leave a multicast group.
   *
   * @param {string} group
   * @param {string} [local] as it was joined
   * @returns {this}
   */
  dropMembership(group, local) {
    return this.#setMembership(group, local, false, 'dropMembership');
  }

  #setMembership(group, local, join, syscall) {
    const handle = handleOf(this, native.UDP);
    checkHost(group);
    if (local !== undefined) checkHost(local);
    check(handle.setMembership(group, local, join), syscall, group);
    return this;
  }

  /**
   * Choose the interface that datagrams to multicast groups leave by.
   *
   * @param {string} [local] its address; with IPv6 its zone tells which: '::%eth0'. The system chooses unless given
   * @returns {this}
   */
  setMulticastInterface(local) {
    const handle = handleOf(this, native.UDP);
    if (local !== undefined) checkHost(local);
    check(handle.setMulticastInterface(local), 'setMulticastInterface', local);
    return this;
  }

  /**
   * Choose whether this machine gets what the socket sends to multicast groups, too.
   *
   * @param {boolean} [on]
   * @returns {this}
   */
  setMulticastLoopback(on) {
    check(handleOf(this, native.UDP).setMulticastLoopback(checkBoolean(on, 'on', true)), 'setMulticastLoopback');
    return this;
  }

  /**
   * Choose how many routers a datagram to a multicast group may pass.
   *
   * @param {number} ttl from 0, which keeps it on this machine, to 255; 1 at first
   * @returns {this}
   */
  setMulticastTTL(ttl) {
    check(handleOf(this, native.UDP).setMulticastTTL(checkInteger(ttl, 'ttl', 0, 255, -1)), 'setMulticastTTL');
    return this;
  }

  /**
   * Choose how many routers a datagram to a single address may pass.
   *
   * @param {number} ttl from 1 to 255
   * @returns {this}
   */
  setTTL(ttl) {
    check(handleOf(this, native.UDP).setTTL(checkInteger(ttl, 'ttl', 1, 255, -1)), 'setTTL');
    return this;
  }

  /**
   * Choose whether datagrams may be sent to broadcast addresses.
   *
   * @param {boolean} [on]
   * @returns {this}
   */
  setBroadcast(on) {
    check(handleOf(this, native.UDP).setBroadcast(checkBoolean(on, 'on', true)), 'setBroadcast');
    return this;
  }

  /** How many bytes are in datagrams that wait for the kernel. */
  get sendQueueSize() {
    return handleOf(this, native.UDP).sendQueueSize();
  }

  /** How many datagrams wait for the kernel. */
  get sendQueueCount() {
    return handleOf(this, native.UDP).sendQueueCount();
  }

  /** The address that it is bound to. @returns {{ address: string, port: number, family: 'IPv4' | 'IPv6' }} */
  getsockname() {
    return nameOfInet(this, native.UDP, false);
  }

  /** The address that it is connected to. @returns {{ address: string, port: number, family: 'IPv4' | 'IPv6' }} */
  getpeername() {
    return nameOfInet(this, native.UDP, true);
  }

  /**
   * Make a dgram.Socket of it. This object closes.
   *
   * @param {object} [options] of dgram.createSocket(), without the type
   * @returns {import('node:dgram').Socket} bound
   */
  toDgram(options) {
    return toDgram(this, checkOptions(options));
  }

  /** Whether close() was called. */
  get destroyed() {
    return this.#closing;
  }

  /**
   * Close. Sends that are under way are told ECANCELED.
   *
   * @param {() => void} [callback] a listener of 'close'
   * @returns {this}
   */
  close(callback) {
    const handle = handleOf(this, native.UDP);
    if (callback !== undefined) this.once('close', checkFunction(callback, 'callback'));
    if (this.#closing) return this;
    this.#closing = true;
    whenUnused(this, () => check(handle.close(), 'close'));
    return this;
  }

  /** @private */
  _beforeDetach() {}

  /** @private */
  _afterDetach() {
    this.close();
  }

  /** The handle is closed. @private */
  _onHandleClosed() {
    this.emit('close');
  }

  #onDatagram(number, data, host, port, flags) {
    if (this.#closing) return;
    if (number < 0) {
      this.emit('error', statusError(number, 'receive', { detail: data }));
      return;
    }
    this.emit('message', data, { ...inetAddress(host, port), size: data.length, truncated: (flags & PARTIAL) !== 0 });
  }

  #onSent(send, number, detail) {
    const callback = this.#sends.get(send);
    this.#sends.delete(send);
    const error = number < 0 ? statusError(number, 'send', { detail }) : null;
    if (callback !== undefined) callback(error);
    // What a close cut off is no news to who closed.
    else if (error && !this.#closing) this.emit('error', error);
  }
}

/** Where a datagram goes: nowhere in particular from a connected socket. */
function destination(port, host = '127.0.0.1') {
  if (port === undefined) return [undefined, 0];
  return [checkHost(host), checkPort(port)];
}

module.exports = { UDP };
