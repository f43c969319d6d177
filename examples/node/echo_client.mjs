// Sends a message to an echo server and prints what comes back: echo_client.mjs [ADDRESS]
import { connect } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const channel = await connect(process.argv[2] ?? 'pipe:echo');
channel.send('hello');
console.log(String(await channel.recv()));
await channel.close();
