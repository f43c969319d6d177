'use strict';

const native = require('./native.js');
const { check } = require('./errors.js');
const { LARGEST, handleOf } = require('./handle.js');
const { bindInet, checkFamily, inetText, nameOfInet } = require('./inet.js');
const { checkBoolean, checkHost, checkInteger, checkOptions, checkPort } = require('./options.js');
const { Stream, connectStream, openedStream } = require('./stream.js');

/**
 * A TCP socket, which can be passed to another process.
 *
 * As a connection it is a stream like any other. As a listener it emits 'connection', and accept() takes
 * the connection. Hosts are literal addresses: names are not looked up. 'close' comes once, at the end.
 */
class TCP extends Stream {
  /**
   * @param {import('node:stream').DuplexOptions & { family?: 'IPv4' | 'IPv6' }} [options] of the stream; allowHalfOpen is
   *   false unless given. With a family the socket is made at once, not when an address tells it
   */
  constructor(options) {
    const { family, ...given } = checkOptions(options);
    const handle = new native.TCP();
    check(handle.init(checkFamily(family)), 'tcp');
    super(handle, given);
  }

  /**
   * @param {string} host
   * @param {number} port 0 picks one
   * @param {{ ipv6Only?: boolean, reusePort?: boolean }} [options]
   * @returns {this}
   */
  bind(host, port, options) {
    bindInet(this, native.TCP, host, port, options);
    openedStream(this, false);
    return this;
  }

  /**
   * Connect to a listener. A failure destroys the socket.
   *
   * @param {number} port
   * @param {string} [host] '127.0.0.1' unless given
   * @param {{ signal?: AbortSignal, timeout?: number }} [options] timeout in milliseconds
   * @returns {Promise<this>} after 'connect'
   */
  async connect(port, host = '127.0.0.1', options) {
    handleOf(this, native.TCP);
    checkHost(host);
    checkPort(port);
    return connectStream(this, (handle) => handle.connect(host, port), inetText(host, port), options);
  }

  /** What accept() fills when it is given nothing. @private */
  _another() {
    return new TCP();
  }

  /**
   * Choose whether small pieces are sent at once instead of being gathered.
   *
   * @param {boolean} [on]
   * @returns {this}
   */
  setNoDelay(on) {
    check(handleOf(this, native.TCP).setNoDelay(checkBoolean(on, 'on', true)), 'setNoDelay');
    return this;
  }

  /**
   * Choose whether an idle connection is probed.
   *
   * @param {boolean} [on]
   * @param {number} [delay] seconds of idleness before the first probe; the system's unless given
   * @returns {this}
   */
  setKeepAlive(on, delay) {
    const seconds = checkInteger(delay, 'delay', 0, LARGEST, 0);
    check(handleOf(this, native.TCP).setKeepAlive(checkBoolean(on, 'on', true), seconds), 'setKeepAlive');
    return this;
  }

  /**
   * Choose whether a listener has several accepts under way at a time. Has an effect on Windows only.
   *
   * @param {boolean} [on]
   * @returns {this}
   */
  simultaneousAccepts(on) {
    check(handleOf(this, native.TCP).simultaneousAccepts(checkBoolean(on, 'on', true)), 'simultaneousAccepts');
    return this;
  }

  /** The address that it is bound to. @returns {{ address: string, port: number, family: 'IPv4' | 'IPv6' }} */
  getsockname() {
    return nameOfInet(this, native.TCP, false);
  }

  /** The address that it is connected to. @returns {{ address: string, port: number, family: 'IPv4' | 'IPv6' }} */
  getpeername() {
    return nameOfInet(this, native.TCP, true);
  }
}

module.exports = { TCP };
