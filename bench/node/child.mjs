// child_process's own channel with 'advanced' serialization: child.mjs both MODE SIZE SECONDS
//
// It starts the driver itself, as such a channel wants it. It prints `driver PID`, waits for a line, so that the
// driver can be given a processor, and prints two results: its own, and the driver's.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Tally, Task } from './task.mjs';

const BATCH_BYTES = 65536;

async function serve(task) {
  const tally = new Tally(task);
  const child = fork(fileURLToPath(import.meta.url), ['drive', ...process.argv.slice(3)], {
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  const driven = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const orders = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  child.on('message', (message) => {
    if (message === 'ready') return;
    tally.add(message);
    if (!task.streams) child.send(message);
  });
  await once(child, 'message');
  process.stdout.write(`driver ${child.pid}\n`);
  await orders.next();
  child.send('go');
  await once(child, 'disconnect');
  tally.print();
  process.stdout.write(`${(await driven.next()).value}\n`);
  await orders.next();
}

async function drive(task) {
  const tally = new Tally(task);
  const messages = task.messages();
  process.send('ready');
  await once(process, 'message');
  const finish = () => {
    tally.print();
    process.disconnect();
  };
  // A batch at a time: the callback of its last message tells when the kernel has it.
  const batch = Math.max(1, Math.floor(BATCH_BYTES / task.size));
  const feed = () => {
    for (let left = batch; ; left -= 1) {
      const message = messages[tally.count % messages.length];
      tally.count += 1;
      const then = tally.isOver() ? finish : left === 1 ? feed : undefined;
      process.send(message, then);
      if (then !== undefined) return;
    }
  };
  tally.start();
  if (task.streams) {
    feed();
    return;
  }
  process.on('message', (message) => {
    tally.add(message);
    if (tally.isOver()) finish();
    else process.send(messages[tally.count % messages.length]);
  });
  process.send(messages[0]);
}

const [side, ...rest] = process.argv.slice(2);
const task = new Task([side, '', ...rest]);
await (side === 'both' ? serve(task) : drive(task));
