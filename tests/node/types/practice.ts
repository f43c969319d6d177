// Servers, access, parents and children, as a user's program has them.
import ferrule = require('ferrule');
import { ChildProcess } from 'node:child_process';

async function main(): Promise<void> {
  const options: ferrule.ListenOptions = { maxChannels: 100, maxConnections: 100, maxHalfOpen: 10, secret: Buffer.from('x'), inline: true, allow: 'any' };
  const server = await ferrule.listen(ferrule.activationAddress('web', 1), options, (channel) => channel.resume());
  await ferrule.listen('pipe:x', { allow: ({ uid, pid }) => uid === 0 && pid !== undefined }, () => {});
  // @ts-expect-error: it is to answer at once
  await ferrule.listen('pipe:x', { allow: async () => true }, () => {});
  // @ts-expect-error: there is no such word
  await ferrule.listen('pipe:x', { allow: 'all' }, () => {});
  const count: number = server.count;
  await server.drain();
  const nothing: void = server.abort();

  const channel = await ferrule.connect(server.address, { secret: 'x', anyUser: true });
  const who: ferrule.PeerCredentials = channel.peerCredentials;
  const stats: ferrule.ChannelStats = channel.stats();
  const sum: number = stats.messagesIn + stats.bytesOut + stats.handlesIn + stats.highWaterHits + (who.gid ?? count);

  const child: ferrule.Child = await ferrule.spawn('program', ['argument'], {
    stdio: ['ignore', 'pipe', process.stderr], env: { A: 'b' }, cwd: '/', timeout: 5, signal: AbortSignal.timeout(1), maxHandles: 1,
  });
  const process_: ChildProcess = child.process;
  child.on('exit', (code, signal) => code === 0 || signal === 'SIGKILL');
  child.channel.send(`${child.pid} ${sum}`);
  child.kill('SIGTERM');
  const { code, signal }: ferrule.ChildExit = await child.exited;
  await (await ferrule.spawn('program', { shell: true })).unref().close();
  const up: ferrule.Channel = await ferrule.parent({ signal: AbortSignal.timeout(1), wire: 'plain' });
  console.log(code, signal, up, process_.pid, nothing);
}

void main();
