/** The rendezvous program in Node. ../README.md describes it. */

import assert from 'node:assert/strict';

import { makeIpcChannel, makeIpcChannelClient } from '../../../bindings/node/lib/index.mjs';

const PRIME = 251;
const STEP = 31;
const TIMEOUT = 20_000;

function contents(number, size) {
  return Buffer.from(Uint8Array.from({ length: size }, (_, k) => (STEP * number + k) % PRIME));
}

function expand(text) {
  return text.split(',').flatMap((word) => {
    const [first, last = first] = word.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

async function echo(side) {
  for (let count = 0; ; count += 1) {
    const message = await side.read();
    if (message === null) return count;
    await side.write(message);
  }
}

async function ping(side, sizes) {
  for (const [number, size] of sizes.entries()) {
    await side.write(contents(number, size));
    const found = await side.read();
    assert.ok(found.equals(contents(number, size)), `message ${number} of ${size} bytes`);
  }
  return sizes.length;
}

const [role, first, second, third, fourth] = process.argv.slice(2);
// The test that started this program is gone when its input ends.
process.stdin.on('end', () => process.exit(3)).resume();
const side = role === 'make' ? makeIpcChannel({ transport: first }) : makeIpcChannelClient(first, second);
if (role === 'make') process.stdout.write(`at ${side.inPath} ${side.outPath}\n`);
const [action, sizes] = role === 'make' ? [second, third] : [third, fourth];
assert.equal(await side.connect({ timeout: TIMEOUT }), true);
const count = await (action === 'echo' ? echo(side) : ping(side, expand(sizes)));
await side.close();
process.stdout.write(`ok ${count}\n`, () => process.exit(0));
