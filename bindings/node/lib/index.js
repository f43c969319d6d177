'use strict';

/**
 * Ferrule: pipes and channels between processes on one machine, the same in C, Python and Node.
 *
 * index.d.ts says what each thing takes and gives.
 */

const native = require('./native.js');
const { activationAddress } = require('./access.js');
const { Channel } = require('./channel.js');
const { IpcChannel, IpcChannelClient, makeIpcChannel, makeIpcChannelClient } = require('./ipc.js');
const { Pipe } = require('./pipe.js');
const { ReceivedHandle, fromHandle, toHandle } = require('./received.js');
const { Server, connect, listen, pair } = require('./server.js');
const { Child, parent, spawn } = require('./spawn.js');
const { TCP } = require('./tcp.js');
const { UDP } = require('./udp.js');

module.exports = {
  Channel,
  Child,
  IpcChannel,
  IpcChannelClient,
  Pipe,
  ReceivedHandle,
  Server,
  TCP,
  UDP,
  activationAddress,
  connect,
  fromHandle,
  listen,
  makeIpcChannel,
  makeIpcChannelClient,
  pair,
  parent,
  spawn,
  toHandle,
  /** The version of the library. */
  version: native.version,
};
