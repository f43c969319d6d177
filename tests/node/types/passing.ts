// Handles and what they are passed as: this must compile as it stands.
import * as dgram from 'node:dgram';
import { open } from 'node:fs/promises';
import * as net from 'node:net';
import { Credentials, HandleType, InetAddress, Passable, Pipe, TCP, UDP, fromHandle, toHandle } from 'ferrule';

async function use(): Promise<void> {
  const [a, b]: [Pipe, Pipe] = Pipe.pair({ ipc: true, allowHalfOpen: true });
  const listener: TCP = new TCP().bind('::1', 0, { ipv6Only: true, reusePort: false }).listen(10, () => {});
  const address: InetAddress = listener.getsockname();
  const client: TCP = await new TCP().connect(address.port, address.address, { timeout: 5 });
  client.setNoDelay().setKeepAlive(true, 5).simultaneousAccepts(false).write('x');
  const accepted: TCP = listener.accept();
  const file = await open('/dev/null');
  const passed: Passable[] = [a, client, new UDP(), new net.Socket(), net.createServer(), dgram.createSocket('udp4'), 3, file];
  for (const handle of passed) a.writeHandle('h', handle, { keepOpen: true }, (error: Error | null) => error?.message);
  a.writeHandle(Buffer.from('h'), client, () => {});
  const type: HandleType | null = b.pendingHandleType;
  const tcp: TCP = b.accept(new TCP());
  const pipe: Pipe = b.accept();
  const fd: number = type === 'other' ? b.acceptFd() : tcp.detach();
  const who: Credentials = pipe.peerCredentials();
  const pid: number | null = who.pid;
  pipe.sendBufferSize = pipe.receiveBufferSize + b.pendingCount;
  const socket: net.Socket = accepted.toSocket({ allowHalfOpen: true });
  const server: net.Server = listener.toServer((other) => other.end());
  const udp = new UDP().open(fd).startReceiving().setTTL(7).setMulticastTTL(1).setMulticastLoopback().setBroadcast(true);
  udp.addMembership('239.1.2.3', '127.0.0.1').dropMembership('239.1.2.3').setMulticastInterface('127.0.0.1');
  udp.on('message', (data, { port, truncated }) => udp.send([data, 'x'], port, (error) => [error?.code, truncated, pid]));
  const sent: boolean = udp.connect(1).trySend('x');
  const native: dgram.Socket = udp.toDgram({ recvBufferSize: 1000 });
  const streams: Pipe | TCP = fromHandle(socket, { keepOpen: true, allowHalfOpen: true });
  const datagrams: UDP = fromHandle(native);
  const own: net.Socket | net.Server = toHandle(streams, { allowHalfOpen: true });
  const any: Pipe | TCP | UDP = fromHandle(fd);
  toHandle(datagrams, { recvBufferSize: 1000 }).close();
  // @ts-expect-error: Node's own object is none already
  toHandle(own);
  void any;
  // @ts-expect-error: a channel cannot be passed
  a.writeHandle('h', {});
  // @ts-expect-error: TCP has no names
  listener.chmod(0o600);
  void [socket, server, sent, native, b.ipc, b.hasRef()];
}

void use;
