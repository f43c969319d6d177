// What one large message costs: ferrule_large.mjs serve|drive PATH SIZE, as bench/ferrule_large.c has it.
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect, listen } from '../../bindings/node/lib/index.mjs';
import { die, now, ready } from './task.mjs';

const SMALL = 'question';
const [side, path, digits] = process.argv.slice(2);
const size = Number(digits);

function statusBytes(name) {
  const line = readFileSync('/proc/self/status', 'ascii').split('\n').find((one) => one.startsWith(name));
  return Number(line.split(/\s+/)[1]) * 1024;
}

/** Have the most that is resident counted from now on; how much it is now. */
function resetPeak() {
  writeFileSync('/proc/self/clear_refs', '5');
  return statusBytes('VmRSS:');
}

function print(seconds, before, peak) {
  process.stdout.write(`${JSON.stringify({ bytes: size, seconds, peak: peak - before })}\n`);
}

async function serve(channel) {
  await channel.receive();
  const before = resetPeak();
  channel.send(SMALL);
  const started = now();
  const message = await channel.receive();
  const seconds = now() - started;
  const peak = statusBytes('VmHWM:');
  if (message.length !== size || message[0] !== 97 || message[size - 1] !== 122) die('not the message that was sent');
  channel.send(SMALL);
  if ((await channel.receive()) !== null) die('one message too many');
  print(seconds, before, peak);
}

if (side === 'serve') {
  const server = await listen(`pipe:${path}`, async (channel) => {
    await serve(channel);
    await server.close();
  });
  ready();
  await once(server, 'close');
} else {
  const large = Buffer.alloc(size, 1);
  large[0] = 97;
  large[size - 1] = 122;
  const channel = await connect(`pipe:${path}`);
  channel.send(SMALL);
  await channel.receive();
  const before = resetPeak();
  const started = now();
  channel.send(large);
  await channel.receive();
  const seconds = now() - started;
  const peak = statusBytes('VmHWM:');
  await channel.close();
  print(seconds, before, peak);
}
