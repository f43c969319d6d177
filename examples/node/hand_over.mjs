// Accepts the connections of HTTP clients, and hands each to a worker in Python, which answers: hand_over.mjs [PIPE]
// Start examples/python/hand_over_worker.py with the same PIPE, as many times as you like.
import net from 'node:net';
import { Pipe } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const [name = 'hand_over.sock', ...more] = process.argv.slice(2);
if (more.length > 0 || name.startsWith('-')) {
  console.error('usage: hand_over.mjs [PIPE]');
  process.exit(2);
}

const workers = [];
let next = 0;

// The connection is not read here: what the client sends is for the worker.
const server = net.createServer({ pauseOnConnect: true }, (socket) => {
  if (workers.length === 0) {
    socket.end('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    return;
  }
  const worker = workers[next % workers.length];
  next += 1;
  // One byte carries it. This side's socket is closed once the worker's is on its way.
  worker.writeHandle('c', socket, (error) => {
    if (error) socket.destroy();
  });
});

const listener = new Pipe().bind(name).listen(() => {
  const worker = listener.accept(new Pipe({ ipc: true }));
  // A worker sends nothing; reading tells of its end.
  worker.resume();
  worker.on('error', (error) => console.error(error.message));
  worker.on('close', () => workers.splice(workers.indexOf(worker), 1));
  workers.push(worker);
  console.log(`workers: ${workers.length}`);
});

server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`));
