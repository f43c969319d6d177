// What the benchmark's Node programs share: arguments, the messages, and the check of what arrives.
//
// Messages are made beforehand, a cycle of them with numbers of their own, and are sent over and over.

export const HEADER = 4; // bytes of a length
const CYCLE_BYTES = 1 << 20;
const CYCLE_LEAST = 4;
const CYCLE_MOST = 1024;
// How often a driver looks at the clock, in messages.
const CLOCK_EVERY = 16;

export function die(why) {
  process.stderr.write(`bench: ${why}\n`);
  process.exit(1);
}

/** Seconds. */
export const now = () => performance.now() / 1000;

/** serve|drive PATH MODE SIZE SECONDS */
export class Task {
  constructor([side, path, mode, size, seconds]) {
    if (seconds === undefined || !['rtt', 'stream'].includes(mode)) die('PROGRAM serve|drive PATH rtt|stream SIZE SECONDS');
    this.serves = side === 'serve';
    this.path = path;
    this.streams = mode === 'stream';
    this.size = Number(size);
    this.seconds = Number(seconds);
    this.cycle = Math.max(CYCLE_LEAST, Math.min(CYCLE_MOST, Math.floor(CYCLE_BYTES / this.size)));
  }

  /** The cycle of messages, each behind `room` bytes that hold its length if there are any. */
  messages(room = 0) {
    return Array.from({ length: this.cycle }, (_, number) => {
      const message = Buffer.alloc(room + this.size, 'x');
      if (room > 0) message.writeUInt32BE(this.size, 0);
      message.writeUInt32LE(number, room);
      return message;
    });
  }
}

/** Counts what is sent or received. */
export class Tally {
  #task;
  #deadline = 0;

  constructor(task) {
    this.#task = task;
    this.count = 0;
    this.started = 0;
    this.ended = 0;
  }

  /** The driver starts. */
  start() {
    this.started = now();
    this.#deadline = this.started + this.#task.seconds;
  }

  /** Whether time is up. */
  isOver() {
    if (this.count % CLOCK_EVERY !== 0) return false;
    this.ended = now();
    return this.ended >= this.#deadline;
  }

  /** A message came. */
  add(message) {
    if (this.count === 0 && this.started === 0) this.started = now();
    if (message.length !== this.#task.size || message.readUInt32LE(0) !== this.count % this.#task.cycle) {
      die('a message of a wrong size, or with a wrong number');
    }
    this.count += 1;
  }

  /** The last line. */
  print() {
    const { count } = this;
    const result = { count, bytes: count * this.#task.size, seconds: (this.ended || now()) - this.started };
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

export function ready() {
  process.stdout.write('ready\n');
}
