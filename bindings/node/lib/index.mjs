/** The same for ES modules: one instance, whoever loads it. */

import ferrule from './index.js';

export const { Channel, IpcChannel, IpcChannelClient, Pipe, ReceivedHandle, Server, TCP, UDP } = ferrule;
export const { connect, listen, makeIpcChannel, makeIpcChannelClient, pair, version } = ferrule;
export default ferrule;
