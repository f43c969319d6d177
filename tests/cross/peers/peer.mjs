/** The peer program in Node. ../README.md describes its arguments and its output. */

import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

import { connect, listen } from '../../../bindings/node/lib/index.mjs';

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

/** A list of sizes, one for each message. */
function expand(text) {
  return text.split(',').flatMap((word) => {
    if (word.includes('x')) {
      const [size, count] = word.split('x').map(Number);
      return Array(count).fill(size);
    }
    const [first, last = first] = word.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

/** What was sent or received. */
class Result {
  messages = 0;
  runs = [];
  bad = -1;
  end = 'FER_OK';
  error = undefined;

  count(size) {
    this.messages += 1;
    const last = this.runs.at(-1);
    if (last?.[0] === size) last[1] += 1;
    else this.runs.push([size, 1]);
  }

  check(message) {
    if (this.bad < 0 && !message.equals(contents(this.messages, message.length))) this.bad = this.messages;
    this.count(message.length);
  }

  say() {
    const { messages, bad, end, runs, error } = this;
    say(`result ${JSON.stringify({ messages, bad, end, runs, error })}`);
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
        hold: { type: 'boolean', default: false },
        stay: { type: 'boolean', default: false },
      },
    });
    const [role, address, action, sizes] = positionals;
    const good = ['listen', 'connect'].includes(role) && ['echo', 'collect', 'send', 'ping'].includes(action);
    if (good && (sizes !== undefined || !['send', 'ping'].includes(action))) {
      return { role, address, action, sizes: expand(sizes ?? '0'), ...values };
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

/** Sends every message; `flushed` is called when the kernel has all of them. */
async function sendAll(channel, flushed = () => {}) {
  let left = settings.sizes.length;
  for (const [number, size] of settings.sizes.entries()) {
    await writable(channel);
    channel.send(contents(number, size), (error) => {
      // An error ends the channel, which is told where messages are received.
      if (error === null && (left -= 1) === 0) flushed();
    });
    if (settings.action === 'send') result.count(size);
  }
}

/** Takes messages until the channel ends; gives the name of the status that ended it. */
async function receive(channel, take) {
  for await (const message of channel) await take(message);
  return 'FER_EOF';
}

const actions = {
  async echo(channel) {
    return receive(channel, async (message) => {
      await writable(channel);
      channel.send(message);
      result.count(message.length);
    });
  },

  async collect(channel) {
    await going;
    return receive(channel, (message) => result.check(message));
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
    for (let left = settings.sizes.length; left > 0; left -= 1) {
      const message = await channel.receive();
      if (message === null) return 'FER_EOF';
      result.check(message);
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
  channels.delete(channel);
}

async function runServer() {
  await new Promise((resolve, reject) => {
    listen(settings.address, options, (channel) => {
      if (settings.action !== 'echo') server.close();
      serve(channel).then(() => settings.action !== 'echo' && resolve(), reject);
    }).then((listening) => {
      server = listening;
      server.on('close', () => settings.action === 'echo' && resolve());
      server.on('clientError', () => {});
      say('ready');
    }, reject);
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
