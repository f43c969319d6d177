// Sends a message to an echo server and prints what comes back: echo_client.mjs [ADDRESS]
import { connect } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const [address = 'pipe:echo', ...more] = process.argv.slice(2);
if (more.length > 0 || address.startsWith('-')) {
  console.error('usage: echo_client.mjs [ADDRESS]');
  process.exit(2);
}

const channel = await connect(address);
await channel.send('hello');
console.log(String(await channel.recv()));
await channel.close();
