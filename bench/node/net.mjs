// Node's own sockets, a length in front of each message, both sides: net.mjs plain|cork serve|drive PATH MODE SIZE SECONDS
//
// `cork` gathers messages up to 64 KiB before they are written; `plain` writes each.
import net from 'node:net';
import { HEADER, Tally, Task, die, ready } from './task.mjs';

const GATHERED = 65536;

const corks = process.argv[2] === 'cork';
const task = new Task(process.argv.slice(3));
const tally = new Tally(task);

/** Calls `onmessage` with each whole message that the chunks of a stream make up. */
class Splitter {
  #parts = [];
  #size = 0;
  #wanted = HEADER;
  #onmessage;

  constructor(onmessage) {
    this.#onmessage = onmessage;
  }

  get empty() {
    return this.#size === 0;
  }

  add(chunk) {
    this.#parts.push(chunk);
    this.#size += chunk.length;
    if (this.#size < this.#wanted) return;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts, this.#size);
    let at = 0;
    this.#wanted = HEADER;
    while (bytes.length - at >= HEADER) {
      const end = at + HEADER + bytes.readUInt32BE(at);
      if (end > bytes.length) {
        this.#wanted = end - at;
        break;
      }
      this.#onmessage(bytes.subarray(at + HEADER, end));
      at = end;
    }
    this.#parts = at === bytes.length ? [] : [bytes.subarray(at)];
    this.#size = bytes.length - at;
  }
}

function attach(socket, onmessage) {
  const splitter = new Splitter(onmessage);
  socket.on('data', (chunk) => splitter.add(chunk));
  socket.on('end', () => {
    if (!splitter.empty) die('the stream ended inside a message');
  });
}

/** One burst: until the socket is full, or what is corked is enough. */
function burst(socket, frames) {
  let gathered = 0;
  for (;;) {
    const frame = frames[tally.count % frames.length];
    const goOn = socket.write(frame);
    tally.count += 1;
    gathered += frame.length;
    if (tally.isOver()) {
      return false;
    }
    if (corks ? gathered >= GATHERED : !goOn) return true;
  }
}

function feed(socket, frames) {
  for (;;) {
    if (corks) socket.cork();
    const goOn = burst(socket, frames);
    if (corks) socket.uncork();
    if (!goOn) {
      socket.end();
      return;
    }
    if (socket.writableNeedDrain) return;
  }
}

const frames = task.messages(HEADER);
if (task.serves) {
  const server = net.createServer((socket) => {
    server.close();
    attach(socket, (message) => {
      tally.add(message);
      if (!task.streams) socket.write(frames[(tally.count - 1) % frames.length]);
    });
    socket.on('end', () => tally.print());
  });
  server.listen(task.path, ready);
} else {
  const socket = net.connect(task.path, () => {
    tally.start();
    if (task.streams) feed(socket, frames);
    else socket.write(frames[0]);
  });
  socket.on('drain', () => feed(socket, frames));
  attach(socket, (message) => {
    tally.add(message);
    if (tally.isOver()) socket.end();
    else socket.write(frames[tally.count % frames.length]);
  });
  socket.on('close', () => tally.print());
}
