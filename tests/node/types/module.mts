/** The same as an ES module. */

import ferrule, { connect, listen, Channel, Pipe, Server, version } from 'ferrule';
import type { ChannelInfo, ConnectOptions, Data, ListenOptions, PipeName } from 'ferrule';

const options: ConnectOptions & ListenOptions = { highWater: 1, hardCap: 2, closeTimeout: 3, handshakeTimeout: 4 };
const server: Server = await listen('pipe:x', options, (channel) => channel.resume());
await using channel: Channel = await ferrule.connect(server.address, options);
const data: Data = 'text';
const name: PipeName = '\0abstract';
const info: ChannelInfo = channel.info;
channel.send(data);
new Pipe().bind(name).unref().destroy();
const same: boolean = ferrule.connect === connect && version.length > 0 && info.version === 1;
export default same;
