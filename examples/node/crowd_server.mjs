// Passes every message on to all other clients, of which a hundred may come: crowd_server.mjs [ADDRESS]
import { listen } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const LARGEST = 64 * 1024;
const clients = new Set();

const [address = 'pipe:crowd', ...more] = process.argv.slice(2);
if (more.length > 0 || address.startsWith('-')) {
  console.error('usage: crowd_server.mjs [ADDRESS]');
  process.exit(2);
}

const server = await listen(address, { maxChannels: 100, maxMessage: LARGEST }, (channel) => {
  // Whoever takes less than others may send has no place here.
  if (channel.info.peerMaxMessage < LARGEST) {
    channel.abort();
    return;
  }
  clients.add(channel);
  channel.on('message', (message) => {
    for (const client of clients) {
      // One that does not read misses messages, and holds nobody up.
      if (client !== channel && client.writable) client.send(message);
    }
  });
  channel.on('error', (error) => console.error(error.message));
  channel.on('close', () => clients.delete(channel));
});

// Too many, strangers, and those that break the protocol.
server.on('clientError', (error) => console.error(error.message));
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => server.drain());
console.log(`listening at ${server.address}`);
