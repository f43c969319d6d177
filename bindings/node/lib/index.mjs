/** The same for ES modules: one instance, whoever loads it. */

import ferrule from './index.js';

export const { Channel, Child, IpcChannel, IpcChannelClient, Pipe, ReceivedHandle, Server, TCP, UDP } = ferrule;
export const { activationAddress, connect, fromHandle, listen, makeIpcChannel, makeIpcChannelClient } = ferrule;
export const { pair, parent, spawn, toHandle, version } = ferrule;
export default ferrule;
