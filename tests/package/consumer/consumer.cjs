'use strict';

// A program by somebody who knows only the installed package: a message there and back.

const { connect, listen, version } = require('ferrule');

async function main(address) {
  const server = await listen(address, async (channel) => {
    for await (const message of channel) channel.send(message);
    await channel.close();
  });
  const channel = await connect(address);
  channel.send(Buffer.from('hello'));
  const answer = await channel.receive();
  await channel.close();
  await server.close();
  return answer.toString();
}

main(process.argv[2]).then((answer) => {
  console.log(version);
  console.log(answer);
  console.log(require.resolve('ferrule'));
});
