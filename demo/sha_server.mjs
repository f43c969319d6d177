/** Answers every message with its SHA-256: sha_server.mjs ADDRESS MAX_MESSAGE. README.md has the rest. */

import { createHash } from 'node:crypto';
import { once } from 'node:events';

import { listen } from '../bindings/node/lib/index.mjs';

async function serve(channel) {
  try {
    for await (const message of channel) {
      const digest = createHash('sha256').update(message).digest();
      await channel.send(digest);
    }
  } catch (error) {
    // The client died. The others go on.
    console.error(`sha_server: ${error.message}`);
  }
}

const [address, maxMessage] = process.argv.slice(2);
if (maxMessage === undefined) {
  console.error('usage: sha_server.mjs ADDRESS MAX_MESSAGE');
  process.exit(2);
}
try {
  const server = await listen(address, { maxMessage: Number(maxMessage) }, serve);
  console.log('ready');
  process.stdin.resume();
  await once(process.stdin, 'end');
  await server.close();
} catch (error) {
  console.log(`failed ${error.message}`);
  process.exitCode = 1;
}
