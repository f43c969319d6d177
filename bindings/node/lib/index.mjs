/** The same for ES modules: one instance, whoever loads it. */

import ferrule from './index.js';

export const { Channel, Pipe, ReceivedHandle, Server, TCP, UDP, connect, listen, pair, version } = ferrule;
export default ferrule;
