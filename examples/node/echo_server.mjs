// Sends every message back to the client it came from: echo_server.mjs [ADDRESS]
import { listen } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const server = await listen(process.argv[2] ?? 'pipe:echo', async (channel) => {
  for await (const message of channel) {
    // A client that does not read is not read either.
    await channel.send(message);
  }
});
console.log(`listening at ${server.address}`);
