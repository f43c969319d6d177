// One HTTP port, served by as many processes as you like. Start share_port.mjs own ADDRESS, then share_port.mjs work ADDRESS
// as many times as you like.
import http from 'node:http';
import { TCP, connect, listen } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const [role, address = 'pipe:share_port', ...more] = process.argv.slice(2);
if (!['own', 'work'].includes(role) || more.length > 0) {
  console.error('usage: share_port.mjs own|work [ADDRESS]');
  process.exit(2);
}

/** Holds the port, and sends it to each worker with a message. It accepts nobody itself. */
async function own() {
  const port = new TCP().bind('127.0.0.1', 0);
  const url = `http://127.0.0.1:${port.getsockname().port}/`;
  await listen(address, async (channel) => {
    channel.on('error', (error) => console.error(error.message)).resume();
    await channel.send(url, { handles: [port] });
  });
  console.log(url);
}

/** Takes the port, and answers whoever comes, until the owner says goodbye. */
async function work() {
  const channel = await connect(address, { maxHandles: 1 });
  const message = await channel.recvMessage();
  if (message === null) throw new Error('the owner has no port for us');
  const [port] = message.handles;
  const answers = http.createServer((request, response) => response.end(`answered by ${process.pid}\n`));
  port.toServer((socket) => answers.emit('connection', socket));
  console.log(`serving ${message.data}`);
  for await (const news of channel) console.log(String(news));
  process.exit();
}

await (role === 'own' ? own() : work());
