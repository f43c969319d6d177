// Handles with messages, as a user's program has them.
import ferrule = require('ferrule');
import * as net from 'node:net';
import * as dgram from 'node:dgram';

async function main(): Promise<void> {
  const [a, b]: [ferrule.Channel, ferrule.Channel] = await ferrule.pair({ maxHandles: 4, frameTimeout: 100, busyPoll: 0.1, anyHost: false });
  const whole: Promise<void> = a.send('x', { handles: [new ferrule.TCP(), 3, new net.Socket(), dgram.createSocket('udp4')] });
  const sent: boolean = a.cork().trySend(['x', 'y'], { handles: [], keepOpen: true });
  await a.uncork().send('y', {});
  const unsent: number = a.unsent;
  b.on('message', (message: Buffer, handles) => handles.map((handle) => handle.kind).includes('udp') && message.length);
  const received = await b.recvMessage({ timeout: 10 });
  if (received !== null) {
    const [handle] = received.handles;
    if (handle !== undefined) {
      const pipe: ferrule.Pipe = handle.open();
      const tcp = handle.open<ferrule.TCP>();
      const socket: net.Socket = handle.toSocket({ allowHalfOpen: true });
      const server: net.Server = handle.toServer((connection) => connection.end());
      a.send('on', { handles: [handle, pipe, tcp] });
      handle.toDgram().close();
      handle.close();
      console.log(handle.fd + handle.detach(), handle.closed, socket, server);
    }
  }
  const message = await b.recv();
  for (const handle of message?.handles ?? []) handle.close();
  console.log(whole, sent, unsent);
}

void main();
