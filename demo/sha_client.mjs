/**
 * Sends files and checks the SHA-256 that comes back: sha_client.mjs ADDRESS MAX_MESSAGE LIST.
 * README.md has the rest.
 */

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { connect } from '../bindings/node/lib/index.mjs';

const WINDOW = 64;
const WINDOW_BYTES = 16 << 20;

/** Names as bytes: a file's name need not be valid text. */
function split(list) {
  const names = [];
  for (let start = 0, end; (end = list.indexOf(0, start)) >= 0; start = end + 1) {
    names.push(list.subarray(start, end));
  }
  return names;
}

const [address, maxMessage, list] = process.argv.slice(2);
if (list === undefined) {
  console.error('usage: sha_client.mjs ADDRESS MAX_MESSAGE LIST');
  process.exit(2);
}

/** Files that were sent and not answered yet: { name, size, digest }. */
const waiting = [];
let waitingBytes = 0;
let answered = () => {};
let messages = 0;
let bytes = 0;
let shown = performance.now();

async function send(channel, names) {
  for (const name of names) {
    while (waiting.length >= WINDOW || waitingBytes >= WINDOW_BYTES) {
      await new Promise((resolve) => {
        answered = resolve;
      });
    }
    const data = await readFile(name).catch((error) => {
      throw new Error(`cannot read ${name}: ${error.message}`);
    });
    waiting.push({ name, size: data.length, digest: createHash('sha256').update(data).digest() });
    waitingBytes += data.length;
    await channel.send(data);
  }
}

function check(answer) {
  const question = waiting.shift();
  if (question === undefined) throw new Error('an answer came that nobody asked for');
  if (!answer.equals(question.digest)) throw new Error(`wrong SHA-256 for ${question.name}`);
  waitingBytes -= question.size;
  messages += 1;
  bytes += question.size;
  answered();
  if (performance.now() - shown >= 100) {
    shown = performance.now();
    console.log(`progress ${messages} ${bytes}`);
  }
}

async function receive(channel, count) {
  for (let left = count; left > 0; left -= 1) {
    const answer = await channel.receive();
    if (answer === null) throw new Error('the server said goodbye before the last answer');
    check(answer);
  }
}

let channel;
try {
  const names = split(await readFile(list));
  channel = await connect(address, { maxMessage: Number(maxMessage) });
  const started = performance.now();
  await Promise.all([send(channel, names), receive(channel, names.length)]);
  await channel.close();
  const seconds = (performance.now() - started) / 1000;
  console.log(`done ${messages} ${bytes} ${seconds.toFixed(6)}`);
} catch (error) {
  // Not process.exit(): what was printed must get out first.
  channel?.abort();
  console.log(`failed ${error.message}`);
  process.exitCode = 1;
}
