/** What a user writes in TypeScript, as CommonJS: it must compile. The lines marked so must not. */

import ferrule = require('ferrule');
import { connect, listen, Pipe, type Channel, type FerruleError } from 'ferrule';

async function main(): Promise<void> {
  const server: ferrule.Server = await listen('pipe:x', { wire: 'plain', maxMessage: 1 << 20 }, async (channel) => {
    for await (const message of channel) {
      const sent: Promise<void> = channel.send(message);
      if (!channel.writable) channel.pause();
      await sent;
    }
  });
  await listen('pipe:y', (channel: Channel) => {
    channel.on('message', (message) => message.readUInt8(0));
    channel.once('end', () => {});
    channel.on('error', (error) => error.message);
    channel.on('own', (anything: number) => anything);
  });
  const channel = await connect(server.address, { signal: AbortSignal.timeout(10), timeout: Infinity });
  channel.send('text');
  channel.send(new Float64Array(3));
  channel.send(['a', Buffer.from('b'), new DataView(new ArrayBuffer(1)), new ArrayBuffer(2)]).catch((error: FerruleError) => {
    const code: string = error.code;
    const errno: number | undefined = error.errno;
    return [code, errno];
  });
  const flushed: Promise<void> = channel.flush();
  const message: Buffer | null = await channel.receive({ timeout: 5 });
  const { wire, queued } = channel.info;
  const name: 'native' | 'plain' = wire;
  const pipe = new Pipe({ allowHalfOpen: true, highWaterMark: 5 });
  pipe.bind(new URL('file:///x'), { mode: 0o600 }).listen(5, () => pipe.accept(new Pipe()).end());
  const same: Pipe = await pipe.connect(Buffer.from('/x'));
  const bytes: Buffer = same.getpeername({ encoding: 'buffer' });
  const text: string = same.getsockname();
  const fd: number = same.open(3).fileno();
  server.on('clientError', (error: FerruleError) => error.status.length);
  await channel[Symbol.asyncDispose]();
  void [flushed, message, queued, name, bytes, text, fd, ferrule.version.length];

  // @ts-expect-error channels are not made by hand
  void new ferrule.Channel();
  // @ts-expect-error a number is no data
  channel.send(7);
  // @ts-expect-error no callback
  channel.send('x', {}, () => {});
  // @ts-expect-error no callback
  channel.send('x', () => {});
  // @ts-expect-error the name of a wire
  void connect('pipe:x', { wire: 'copper' });
  // @ts-expect-error a handler is a function
  void listen('pipe:x', {}, 'handler');
  // @ts-expect-error the address cannot be changed
  server.address = 'pipe:z';
}

void main;
