/** The peer program in Node. ../README.md describes its arguments and its output. */

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { connect, listen, Pipe, TCP, UDP } from '../../../bindings/node/lib/index.mjs';

const PRIME = 251;
const STEP = 31;
const PATTERN = Buffer.from(Array.from({ length: PRIME }, (_, i) => i));

/** The contents of a message. */
function contents(number, size) {
  const first = (STEP * number) % PRIME;
  const bytes = Buffer.allocUnsafe(size);
  if (size > 0) {
    PATTERN.copy(bytes, 0, first);
    const head = Math.min(PRIME - first, size);
    if (head < size) bytes.fill(PATTERN, head);
  }
  return bytes;
}

/** A list of sizes: size and number of handles, for each message. */
function expand(text) {
  return text.split(',').flatMap((word) => {
    const [, first, last = first, handles = 0, times = 1] = /^(\d+)(?:-(\d+))?(?:\+(\d+))?(?:x(\d+))?$/.exec(word);
    const sizes = Array.from({ length: last - first + 1 }, (_, i) => Number(first) + i);
    return sizes.flatMap((size) => Array(Number(times)).fill([size, Number(handles)]));
  });
}

const KINDS = ['other', 'pipe', 'tcp', 'udp'];

/** Something to be passed, its descriptor, and what closes it. */
function makeHandle(number) {
  const kind = KINDS[number % KINDS.length];
  if (kind === 'other') {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-peer-'));
    const fd = fs.openSync(path.join(folder, 'number'), 'w+');
    fs.rmSync(folder, { recursive: true });
    fs.writeSync(fd, String(number));
    return { object: fd, fd, close: () => fs.closeSync(fd) };
  }
  let object;
  if (kind === 'pipe') {
    const [end, other] = Pipe.pair();
    other.destroy();
    object = end;
  } else if (kind === 'tcp') {
    object = new TCP().bind('127.0.0.1', 0);
  } else {
    object = new UDP().bind('127.0.0.1', 0);
  }
  return { object, fd: object.fileno(), close: () => (object.destroy ?? object.close).call(object) };
}

/** What tells a file or socket from all others. */
function tells(fd) {
  const { dev, ino } = fs.fstatSync(fd);
  return `${dev} ${ino}`;
}

/** Whether this is the handle of that number, as far as can be seen. */
function handleIsGood(handle, number) {
  if (handle.kind !== KINDS[number % KINDS.length]) return false;
  if (number % KINDS.length > 0) return true;
  const bytes = Buffer.alloc(32);
  return bytes.toString('latin1', 0, fs.readSync(handle.fd, bytes, 0, 32, 0)) === String(number);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

/** What was sent or received. */
class Result {
  messages = 0;
  refused = 0;
  unsent = 0;
  runs = [];
  bad = -1;
  end = 'FER_OK';
  error = undefined;

  count(size, handles) {
    this.messages += 1;
    const last = this.runs.at(-1);
    if (last?.[0] === size && (last[2] ?? 0) === handles) last[1] += 1;
    else this.runs.push(handles > 0 ? [size, 1, handles] : [size, 1]);
  }

  check(data, handles, good) {
    if (this.bad < 0 && !(good && data.equals(contents(this.messages, data.length)))) this.bad = this.messages;
    this.count(data.length, handles.length);
  }

  say() {
    const { messages, bad, end, refused, unsent, runs, error } = this;
    say(`result ${JSON.stringify({ messages, bad, end, refused, unsent, runs, error })}`);
  }
}

function usage() {
  console.error('usage: peer.mjs listen|connect ADDRESS echo|collect|send|ping [SIZES] [OPTION...]');
  process.exit(2);
}

function parse() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        wire: { type: 'string', default: 'native' },
        'max-message': { type: 'string' },
        'max-handles': { type: 'string' },
        'close-timeout': { type: 'string' },
        hold: { type: 'boolean', default: false },
        stay: { type: 'boolean', default: false },
      },
    });
    const [role, address, action, sizes] = positionals;
    const good = ['listen', 'connect'].includes(role) && ['echo', 'collect', 'send', 'ping'].includes(action);
    if (good && (sizes !== undefined || !['send', 'ping'].includes(action))) {
      return { role, address, action, messages: expand(sizes ?? '0'), ...values };
    }
  } catch (error) {
    console.error(error.message);
  }
  return usage();
}

const settings = parse();
const result = new Result();
const options = { wire: settings.wire };
if (settings['max-message'] !== undefined) options.maxMessage = Number(settings['max-message']);
if (settings['max-handles'] !== undefined) options.maxHandles = Number(settings['max-handles']);
if (settings['close-timeout'] !== undefined) options.closeTimeout = Number(settings['close-timeout']);

let go;
const going = new Promise((resolve) => {
  go = resolve;
});
if (!settings.hold) go();
const channels = new Set();
let server;

async function writable(channel) {
  if (channel.writable || channel.closed) return;
  await new Promise((resolve) => {
    const done = () => {
      channel.off('drain', done).off('close', done);
      resolve();
    };
    channel.on('drain', done).on('close', done);
  });
}

let made = 0;
let seen = 0;
const marks = [];

/** Sends one message; false when it was refused because handles cannot be sent. */
async function sendOne(channel, number, size, count) {
  const handles = Array.from({ length: count }, (_, index) => makeHandle(made + index));
  const inodes = handles.map(({ fd }) => tells(fd));
  try {
    const options = { handles: handles.map(({ object }) => object) };
    do await writable(channel); while (!channel.trySend(contents(number, size), options));
  } catch (error) {
    if (count === 0 || error.status !== 'FER_ENOTSUP') throw error;
    result.refused += 1;
    return false;
  } finally {
    for (const handle of handles) handle.close();
  }
  made += count;
  marks.push(...inodes);
  return true;
}

/** Sends every message; `flushed` is called when the kernel has all of them. */
async function sendAll(channel, flushed = () => {}) {
  let number = 0;
  for (const [size, count] of settings.messages) {
    if (!await sendOne(channel, number, size, count)) continue;
    number += 1;
    if (settings.action === 'send') result.count(size, count);
  }
  // An error ends the channel, which is told where messages are received.
  channel.flush().then(flushed, () => {});
}

/** Notes a message, and whether it and its handles are what was sent. */
function check({ data, handles }) {
  let good = true;
  for (const handle of handles) {
    good &&= handleIsGood(handle, seen);
    if (settings.action === 'ping') good &&= marks[seen] === tells(handle.fd);
    handle.close();
    seen += 1;
  }
  result.check(data, handles, good);
}

/** Takes messages until the channel ends; gives the name of the status that ended it. */
async function receive(channel, take) {
  for (;;) {
    const message = await channel.recvMessage();
    if (message === null) return 'FER_EOF';
    await take(message);
  }
}

const actions = {
  async echo(channel) {
    return receive(channel, async ({ data, handles }) => {
      const sent = channel.send(data, { handles });
      for (const handle of handles) handle.close();
      await sent;
      result.count(data.length, handles.length);
    });
  },

  async collect(channel) {
    await going;
    return receive(channel, check);
  },

  async send(channel) {
    const ended = receive(channel, () => {});
    // Seen to below, or of no interest after a close on this side.
    ended.catch(() => {});
    await sendAll(channel, () => settings.stay && say('flushed'));
    if (!settings.stay) return 'FER_OK';
    await new Promise(setImmediate);
    say('accepted');
    return ended;
  },

  async ping(channel) {
    const sending = sendAll(channel);
    sending.catch(() => {});
    // What is refused is not awaited; the last message never is.
    while (result.messages + result.refused < settings.messages.length) {
      const message = await channel.recvMessage();
      if (message === null) return 'FER_EOF';
      check(message);
    }
    await sending;
    return 'FER_OK';
  },
};

async function serve(channel) {
  say('open');
  channels.add(channel);
  let end;
  try {
    end = await actions[settings.action](channel);
  } catch (error) {
    end = error.status ?? error.stack;
  }
  try {
    await channel.close();
  } catch (error) {
    if (end === 'FER_OK') end = error.status ?? error.stack;
  }
  result.end = end;
  result.unsent = channel.unsent;
  channels.delete(channel);
}

async function runServer() {
  await new Promise((resolve, reject) => {
    listen(settings.address, options, (channel) => {
      const only = settings.action !== 'echo';
      // On FIFOs the client may still be about to open the second one.
      if (only && !settings.address.startsWith('fifo:')) server.close();
      serve(channel).then(() => only && resolve(), reject);
    }).then((listening) => {
      server = listening;
      server.on('close', () => settings.action === 'echo' && resolve());
      server.on('clientError', () => {});
      say(`at ${server.address}`);
      say('ready');
    }, (error) => {
      result.error = error.status ?? error.stack;
      resolve();
    });
  });
}

async function runClient() {
  let channel;
  try {
    channel = await connect(settings.address, options);
  } catch (error) {
    result.error = error.status ?? error.stack;
    return;
  }
  await serve(channel);
}

const input = createInterface({ input: process.stdin });
input.on('line', () => go());
const inputEnd = new Promise((resolve) => {
  input.on('close', resolve);
});
await Promise.race([settings.role === 'listen' ? runServer() : runClient(), inputEnd]);
server?.close();
for (const channel of channels) channel.abort();
result.say();
process.stdin.destroy();
