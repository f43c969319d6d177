/** Types of events, of many messages, and of servers that are iterated over. The lines marked so must not compile. */

import { once } from 'node:events';
import { Readable, Writable, Duplex } from 'node:stream';
import { type Channel, type ChannelInfo, type Message, type ReceivedHandle, type Server, Pipe, TCP, connect, listen } from 'ferrule';

/** Compiles only when both are the same type. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function is<A, B>(same: Same<A, B>): void {
  void same;
}

async function main(): Promise<void> {
  const server = await listen('pipe:x', { captureRejections: true, maxChannels: 3 });
  is<typeof server, Server>(true);
  for await (const channel of server) {
    is<typeof channel, Channel>(true);
    channel.on('message', (message, handles) => {
      is<typeof message, Message>(true);
      is<typeof handles, readonly ReceivedHandle[]>(true);
    });
    channel.on('error', (error) => is<typeof error, Error>(true));
    channel.once('close', (...args) => is<typeof args, []>(true));
    for await (const message of channel) is<typeof message, Message>(true);
    break;
  }
  is<Awaited<ReturnType<Server['close']>>, void>(true);
  await server.close({ drain: true });
  // @ts-expect-error drain is a boolean
  await server.close({ drain: 5 });

  const channel = await connect('pipe:x', { signal: new AbortController().signal });
  const [first] = await once(channel, 'message');
  void first;
  const sent = channel.sendMany(['text', Buffer.from('x'), ['a', new Uint8Array(1)]], { signal: AbortSignal.timeout(5) });
  is<typeof sent, Promise<void>>(true);
  await channel.sendMany(new Set(['a']));
  // @ts-expect-error numbers are no messages
  await channel.sendMany([5]);
  // @ts-expect-error not an iterable
  await channel.sendMany(5);
  // @ts-expect-error handles go with one message
  await channel.sendMany(['x'], { handles: [] });
  is<ReturnType<Channel['send']>, Promise<void>>(true);
  is<ReturnType<Channel['flush']>, Promise<void>>(true);
  is<ReturnType<Channel['trySend']>, boolean>(true);
  is<Awaited<ReturnType<Channel['receive']>>, Message | null>(true);
  is<Channel['info'], ChannelInfo>(true);
  // @ts-expect-error what is known cannot be changed
  channel.info = channel.info;

  for (const stream of [new Pipe({ allowHalfOpen: true }), new TCP()]) {
    const streams: [Readable, Writable, Duplex] = [stream, stream, stream];
    void streams;
    const same: typeof stream = stream.setTimeout(5, () => {}).ref().unref();
    is<typeof stream.timeout, number | undefined>(true);
    const state: 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' = same.readyState;
    void state;
    same.destroySoon();
    // @ts-expect-error milliseconds are a number
    stream.setTimeout('5');
    // @ts-expect-error it only tells
    stream.bytesRead = 5;
  }
}

void main;
