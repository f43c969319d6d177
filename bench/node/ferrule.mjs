// Ferrule's Channel, both sides: ferrule.mjs default|asleep serve|drive PATH MODE SIZE SECONDS
import { once } from 'node:events';
import { connect, listen } from '../../bindings/node/lib/index.mjs';
import { Tally, Task, ready } from './task.mjs';

const [way, ...words] = process.argv.slice(2);
const options = way === 'asleep' ? { busyPoll: 0 } : {};
const task = new Task(words);
const tally = new Tally(task);
const address = `pipe:${task.path}`;

function onclient(channel) {
  channel.on('message', (message) => {
    tally.add(message);
    if (!task.streams) channel.send(message);
  });
  channel.on('end', () => {
    tally.print();
    server.close();
  });
}

/** As fast as it goes: until there is no room, or time is up. */
function feed(channel, messages) {
  while (channel.writable) {
    channel.send(messages[tally.count % messages.length]);
    tally.count += 1;
    if (tally.isOver()) {
      channel.close();
      return;
    }
  }
}

let server;
if (task.serves) {
  server = await listen(address, options, onclient);
  ready();
} else {
  const channel = await connect(address, options);
  const closed = once(channel, 'close');
  const messages = task.messages();
  if (task.streams) {
    tally.start();
    // At its end a channel has room for the last time.
    channel.on('drain', () => channel.closed || feed(channel, messages));
    feed(channel, messages);
  } else {
    channel.on('message', (message) => {
      tally.add(message);
      if (tally.isOver()) channel.close();
      else channel.send(messages[tally.count % messages.length]);
    });
    tally.start();
    channel.send(messages[0]);
  }
  await closed;
  tally.print();
}
