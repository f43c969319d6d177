// The same by import: it is the same instance as by require().

import { createRequire } from 'node:module';
import { Channel, connect, listen, version } from 'ferrule';

const require = createRequire(import.meta.url);
if (require('ferrule').Channel !== Channel) throw new Error('two instances of the package');

const address = process.argv[2];
const server = await listen(address, async (channel) => {
  for await (const message of channel) channel.send(message);
  await channel.close();
});
const channel = await connect(address);
channel.send(Buffer.from('hello'));
const answer = await channel.receive();
await channel.close();
await server.close();

console.log(version);
console.log(answer.toString());
console.log(require.resolve('ferrule'));
