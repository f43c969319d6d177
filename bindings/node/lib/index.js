'use strict';

/**
 * Ferrule: pipes and channels between processes on one machine, the same in C, Python and Node.
 *
 * index.d.ts says what each thing takes and gives.
 */

const native = require('./native.js');
const { Channel } = require('./channel.js');
const { Pipe } = require('./pipe.js');
const { Server, connect, listen } = require('./server.js');
const { TCP } = require('./tcp.js');
const { UDP } = require('./udp.js');

module.exports = {
  Channel,
  Pipe,
  Server,
  TCP,
  UDP,
  connect,
  listen,
  /** The version of the library. */
  version: native.version,
};
