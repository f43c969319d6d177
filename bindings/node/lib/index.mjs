/** The same for ES modules: one instance, whoever loads it. */

import ferrule from './index.js';

export const { Channel, Pipe, Server, TCP, UDP, connect, listen, version } = ferrule;
export default ferrule;
