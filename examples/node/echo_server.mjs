// Sends every message back to the client it came from: echo_server.mjs [ADDRESS]
import { listen } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const [address = 'pipe:echo', ...more] = process.argv.slice(2);
if (more.length > 0 || address.startsWith('-')) {
  console.error('usage: echo_server.mjs [ADDRESS]');
  process.exit(2);
}

const server = await listen(address, async (channel) => {
  // A client that does not read is not read either.
  for await (const message of channel) await channel.send(message);
});
console.log(`listening at ${server.address}`);
