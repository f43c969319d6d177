// Starts a program in any language, sends it every line that is typed, and prints what it answers: parent.mjs COMMAND…
// It goes with examples/c/child.c, for one.
import { createInterface } from 'node:readline';
import { spawn } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const [command, ...args] = process.argv.slice(2);
if (command === undefined || command.startsWith('-')) {
  console.error('usage: parent.mjs COMMAND…');
  process.exit(2);
}

// What is typed is not for the child.
const child = await spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] });
for await (const line of createInterface({ input: process.stdin })) {
  await child.channel.send(line);
  const answer = await child.channel.recv();
  if (answer === null) break;
  console.log(`${answer}`);
}
const { code } = await child.close();
process.exitCode = code ?? 1;
