'use strict';

/** Programs that are started with a channel to them. */

const assert = require('node:assert/strict');
const childProcess = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { test } = require('node:test');
const { addon, closed, descriptors, event, ferrule, isolated, root } = require('./helpers.js');

const { Child, spawn } = ferrule;
const fixture = path.join(__dirname, 'fixtures', 'child.js');
const build = path.dirname(path.dirname(addon));
const env = { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined };

const PYTHON = `
import asyncio, ferrule
async def main():
    async with ferrule.parent() as channel:
        async for message in channel:
            await channel.send(message)
asyncio.run(main())
`;
const PYTHON_SYNC = `
import ferrule.sync
with ferrule.sync.parent() as channel:
    for message in channel:
        channel.send(message)
`;

/** Programs that send back what comes, in every language. */
const programs = {
  node: [process.execPath, [fixture, 'echo']],
  python: [path.join(root, '.venv', 'bin', 'python'), ['-c', PYTHON]],
  'python, blocking': [path.join(root, '.venv', 'bin', 'python'), ['-c', PYTHON_SYNC]],
  c: [path.join(build, 'bin', 'ferrule_example_child'), []],
};

/** A fixture, in the role that it is given. */
function child(role, options) {
  return spawn(process.execPath, [fixture, ...[role].flat()], { env, ...options });
}

/** Whether a process is there, and no zombie. */
function lives(pid) {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error;
    return false;
  }
}

/** The lines of a stream, one by one. */
function lines(stream) {
  const reader = readline.createInterface({ input: stream });
  const iterator = reader[Symbol.asyncIterator]();
  return async () => (await iterator.next()).value;
}

for (const [language, [command, args]] of Object.entries(programs)) {
  test(`${language}: messages both ways, and an orderly end`, isolated(async () => {
    assert.ok(fs.existsSync(command), `${command} is not built`);
    const started = await spawn(command, args, { env });
    assert.ok(started instanceof Child);
    for (const size of [0, 1, 1000, 65_536, 3_000_000]) {
      const message = Buffer.alloc(size, size % 251);
      started.channel.send(message);
      assert.ok(message.equals(await started.channel.receive()));
    }
    const exit = once(started, 'exit');
    assert.deepEqual(await started.close(), { code: 0, signal: null });
    assert.deepEqual(await exit, [0, null]);
    assert.deepEqual(await started.exited, { code: 0, signal: null });
    assert.equal(process.env.FERRULE_CHANNEL, undefined);
  }));

  test(`${language}: killed`, isolated(async () => {
    const started = await spawn(command, args, { env });
    started.channel.send('x');
    await started.channel.receive();
    assert.equal(started.kill('SIGKILL'), true);
    await assert.rejects(started.channel.receive(), { code: 'ECONNRESET' });
    assert.deepEqual(await started.exited, { code: null, signal: 'SIGKILL' });
    assert.equal(started.kill(), false);
    assert.deepEqual(await started.close(), { code: null, signal: 'SIGKILL' });
  }));
}

test('handles go to a child and come back', isolated(async () => {
  const started = await child('echo', { maxHandles: 4 });
  const [a, b] = ferrule.Pipe.pair();
  started.channel.send('take', { handles: [a] });
  a.destroy();
  const { data, handles: [back] } = await started.channel.recvMessage();
  assert.equal(String(data), 'take');
  const pipe = back.open();
  pipe.write('through');
  assert.equal(String((await once(b, 'data'))[0]), 'through');
  const gone = event(b, 'close');
  pipe.destroy();
  await gone;
  await started.close();
}));

test('a child on the plain wire', isolated(async () => {
  const started = await child('plain', { wire: 'plain' });
  started.channel.send('plain');
  assert.equal(String(await started.channel.receive()), 'plain');
  assert.deepEqual(await started.close(), { code: 0, signal: null });
}));

test('what a child is told, and what nobody else inherits', isolated(async ({ folder }) => {
  const options = { cwd: folder, argv0: 'another', env: { ...env, VARIABLE: 'given', FERRULE_CHANNEL: 'fd:77' } };
  const before = descriptors();
  const bystander = await child('echo');
  const started = await child('tell', options);
  const told = JSON.parse(await started.channel.receive());
  assert.equal(told.before, 'fd:3');
  assert.equal(told.after, undefined);
  assert.equal(told.again, 'ENOENT');
  assert.equal(told.cwd, fs.realpathSync(folder));
  assert.equal(told.argv0, 'another');
  assert.equal(told.variable, 'given');
  // What the child starts has neither the descriptor nor the variable.
  const inherited = told.inherited.trim().split('\n');
  assert.equal(inherited.pop(), '<>');
  assert.match(told.own, /^socket:/);
  assert.ok(!inherited.includes(told.own));
  // And nothing that this process starts has one of the ends.
  const list = 'for fd in /proc/self/fd/*; do readlink "$fd"; done; echo "<$FERRULE_CHANNEL>"';
  const stdio = ['ignore', 'pipe', 'ignore'];
  const seen = childProcess.spawnSync('sh', ['-c', list], { stdio, encoding: 'utf8' }).stdout.trim().split('\n');
  assert.equal(seen.pop(), '<>');
  const ours = [...descriptors()].filter(([fd, what]) => before.get(fd) !== what).map(([, what]) => what);
  assert.equal(ours.filter((what) => what.startsWith('socket:')).length, 2);
  assert.deepEqual(seen.filter((what) => ours.includes(what)), []);
  // Nor has one child an end of the other's channel.
  const others = fs.readdirSync(`/proc/${bystander.pid}/fd`).map((fd) => fs.readlinkSync(`/proc/${bystander.pid}/fd/${fd}`));
  assert.deepEqual(others.filter((what) => what === told.own || ours.includes(what)), []);
  await started.close();
  await bystander.close();
  assert.equal(options.env.FERRULE_CHANNEL, 'fd:77');
}));

test('the standard streams are the caller\'s, and the channel is behind them', isolated(async () => {
  const script = 'echo "$FERRULE_CHANNEL"; echo complaint >&2; exec "$@"';
  const args = ['-c', script, 'sh', process.execPath, fixture, 'echo'];
  for (const [stdio, address] of [
    ['pipe', 'fd:3'],
    [['pipe', 'pipe', 'pipe'], 'fd:3'],
    [['ignore', 'pipe', 'pipe', 'ignore', undefined], 'fd:5'],
    [['ignore', 'pipe', 'pipe', null, 'pipe', 'pipe'], 'fd:6'],
  ]) {
    const started = await spawn('sh', args, { env, stdio });
    assert.equal(await lines(started.process.stdout)(), address);
    assert.equal(await lines(started.process.stderr)(), 'complaint');
    assert.equal(started.process.stdin === null, stdio[0] === 'ignore');
    started.channel.send('x');
    assert.equal(String(await started.channel.receive()), 'x');
    const gone = Promise.all(started.process.stdio.filter((stream) => stream !== null && stream !== started.process.stdin)
      .map((stream) => event(stream.resume(), 'close')));
    assert.deepEqual(await started.close(), { code: 0, signal: null });
    await gone;
  }
  for (const stdio of ['ignore', ['ignore']]) {
    const started = await child('echo', { stdio });
    assert.deepEqual(started.process.stdio.slice(0, 3), [null, null, null]);
    await started.close();
  }
}));

/** What went wrong, and that nothing is left of the child: it wrote its number to a file. */
async function failed(folder, script, options = {}) {
  const error = await spawn('sh', ['-c', `echo $$ > ${folder}/pid; ${script}`], { env, stdio: 'ignore', ...options })
    .then(() => assert.fail('it is no program of Ferrule'), (reason) => reason);
  assert.equal(lives(Number(fs.readFileSync(`${folder}/pid`, 'utf8'))), false);
  fs.unlinkSync(`${folder}/pid`);
  return error;
}

test('a program that is none of Ferrule', isolated(async ({ folder }) => {
  for (const options of [{ timeout: 100 }, { handshakeTimeout: 100 }]) {
    const error = await failed(folder, 'exec cat', { stdio: ['pipe', 'ignore', 'ignore'], ...options });
    assert.deepEqual([error.code, error.status, error.syscall, error.path], ['ETIMEDOUT', 'FER_ETIMEDOUT', 'spawn sh', 'sh']);
    assert.match(error.message, /is it a Ferrule program\?/);
  }
  const garbage = await failed(folder, 'echo something else >&3; exec cat', { stdio: ['pipe', 'ignore', 'ignore'], timeout: Infinity });
  assert.deepEqual([garbage.code, garbage.syscall], ['EPROTO', 'spawn sh']);
  // It does not end, though nobody can talk to it any more.
  const deaf = await failed(folder, 'exec 3>&-; exec cat', { stdio: ['pipe', 'ignore', 'ignore'], timeout: 100 });
  assert.equal(deaf.code, 'ECONNRESET');
  assert.equal(deaf.exitCode, undefined);
}));

test('a program that ends at once', isolated(async ({ folder }) => {
  for (const [script, exitCode, signalCode, text] of [
    ['exit 3', 3, null, /the child exited with code 3 before it said hello/],
    [':', 0, null, /exited with code 0/],
    ['kill -9 $$', null, 'SIGKILL', /was killed by SIGKILL/],
    ['kill -15 $$', null, 'SIGTERM', /was killed by SIGTERM/],
  ]) {
    const error = await failed(folder, script, { timeout: Infinity });
    assert.deepEqual([error.code, error.exitCode, error.signalCode], ['ECONNRESET', exitCode, signalCode]);
    assert.match(error.message, text);
  }
}));

test('a program that ends at once, and leaves its descriptor to another', isolated(async ({ folder }) => {
  // The other one has the descriptor until it can open the FIFO.
  childProcess.execFileSync('mkfifo', [`${folder}/fifo`]);
  const error = await failed(folder, `sh -c 'read line < ${folder}/fifo' & exit 4`, { timeout: Infinity });
  assert.deepEqual([error.code, error.exitCode], ['ECONNRESET', 4]);
  fs.writeFileSync(`${folder}/fifo`, 'go\n');
  fs.unlinkSync(`${folder}/fifo`);
}));

test('a program that cannot be started', isolated(async ({ folder }) => {
  for (const wire of ['native', 'plain']) {
    await assert.rejects(spawn('/nowhere/at/all', [], { wire }), { code: 'ENOENT', syscall: 'spawn /nowhere/at/all', path: '/nowhere/at/all' });
    await assert.rejects(spawn(folder, { wire }), { code: 'EACCES', path: folder });
    await assert.rejects(spawn('sh', { cwd: `${folder}/none`, wire }), { code: 'ENOENT' });
  }
}));

test('arguments that are none', isolated(async () => {
  const wrong = { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' };
  for (const command of [undefined, null, 7, {}]) await assert.rejects(spawn(command), wrong);
  for (const args of ['text', 7, null, () => {}]) await assert.rejects(spawn('sh', args), wrong);
  for (const options of [
    { stdio: 7 }, { stdio: {} }, { env: 'A=B' }, { env: null }, { cwd: 7 }, { signal: 'SIGTERM' }, { timeout: '5' },
    { handshakeTimeout: '5' }, { closeTimeout: '5' }, { maxHandles: 'many' }, { inline: 1 }, { uid: 'root' },
  ]) {
    await assert.rejects(spawn('sh', [], options), wrong, JSON.stringify(options));
  }
  await assert.rejects(spawn('sh', [], { stdio: 'loud' }), TypeError);
  await assert.rejects(spawn('sh', [], { stdio: ['loud'] }), TypeError);
  await assert.rejects(spawn('sh', [], { wire: 'barbed' }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(spawn(''), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(spawn('sh', ['a\0b']), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(spawn('sh', [], { timeout: 0 }), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(spawn('sh', [], { secret: 'x' }), { code: 'ENOTSUP' });
  assert.throws(() => new Child(), { name: 'TypeError', code: 'ERR_ILLEGAL_CONSTRUCTOR' });
}));

test('an AbortSignal', isolated(async ({ folder }) => {
  await assert.rejects(spawn('sh', [], { signal: AbortSignal.abort() }), { name: 'AbortError', code: 'ABORT_ERR' });

  // Before the child has said hello.
  const early = new AbortController();
  childProcess.execFileSync('mkfifo', [`${folder}/pid`]);
  const starting = spawn('sh', ['-c', `echo $$ > ${folder}/pid; exec cat`], {
    stdio: ['pipe', 'ignore', 'ignore'], signal: early.signal, timeout: Infinity,
  });
  const pid = Number(await fs.promises.readFile(`${folder}/pid`, 'utf8'));
  early.abort(new Error('never mind'));
  await assert.rejects(starting, (error) => error.name === 'AbortError' && error.cause.message === 'never mind');
  assert.equal(lives(pid), false);
  fs.unlinkSync(`${folder}/pid`);

  // Afterwards.
  const late = new AbortController();
  const started = await child('echo', { signal: late.signal });
  late.abort();
  assert.deepEqual(await started.exited, { code: null, signal: 'SIGTERM' });
  await assert.rejects(started.channel.receive(), { code: 'ECONNRESET' });
  await closed(started.channel);

  // After its end.
  const never = new AbortController();
  const ended = await child('echo', { signal: never.signal });
  await ended.close();
  never.abort();
}));

test('what was being sent when the child died does not make close() fail', isolated(async () => {
  const started = await spawn(...programs.c, { env });
  started.kill('SIGKILL');
  // The loop does not turn until then: nothing of its end is known here when this is sent.
  while (lives(started.pid));
  await assert.rejects(async () => { await started.channel.send(Buffer.alloc(1_000_000)); }, { code: 'EPIPE' });
  assert.deepEqual(await started.close(), { code: null, signal: 'SIGKILL' });
}));

test('what a child said before it ended is received', isolated(async () => {
  for (let i = 0; i < 5; i += 1) {
    const started = await child('hasty');
    const exit = await started.exited;
    assert.deepEqual(exit, { code: 5, signal: null });
    assert.equal(String(await started.channel.receive()), 'last words');
    await assert.rejects(started.channel.receive(), { code: 'ECONNRESET' });
    await closed(started.channel);
  }
}));

test('a child that does not end is killed', isolated(async () => {
  const started = await child('stubborn', { closeTimeout: 100 });
  assert.equal(started.kill(), true);
  assert.deepEqual(await started.close(), { code: null, signal: 'SIGKILL' });
  assert.equal(lives(started.pid), false);
}));

test('await using ends a child', isolated(async () => {
  const started = await child('echo');
  await started[Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]();
  assert.equal(started.channel.closed, true);
  assert.equal(lives(started.pid), false);
}));

test('many children at once', isolated(async () => {
  await Promise.all(Array.from({ length: 8 }, async (_, i) => {
    const started = await spawn(programs.c[0], [], { env });
    started.channel.send(`child ${i}`);
    assert.equal(String(await started.channel.receive()), `child ${i}`);
    assert.deepEqual(await started.close(), { code: 0, signal: null });
  }));
}));

test('a parent that dies ends the channel of its child', isolated(async () => {
  const parent = childProcess.spawn(process.execPath, [fixture, 'between'], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const line = lines(parent.stdout);
  // The child has the same standard output.
  const pid = Number(await line());
  assert.ok(lives(pid));
  const over = event(parent.stdout, 'close');
  parent.kill('SIGKILL');
  assert.equal(await line(), 'ECONNRESET');
  // It has no reason to stay: its end closes the stream.
  await over;
}));

test('a child does not keep its parent when unref() says so', isolated(async () => {
  const parent = childProcess.spawn(process.execPath, [fixture, 'unref'], { env, stdio: 'inherit' });
  assert.deepEqual(await once(parent, 'exit'), [0, null]);
}));

test('parent() in a worker', isolated(async () => {
  const started = await child('worker');
  assert.equal(String(await started.channel.receive()), 'fd:3 undefined');
  started.channel.send('to a worker');
  assert.equal(String(await started.channel.receive()), 'to a worker');
  assert.deepEqual(await started.close(), { code: 0, signal: null });
}));

test('parent() of a process that has none', isolated(async () => {
  assert.equal(process.env.FERRULE_CHANNEL, undefined);
  await assert.rejects(ferrule.parent(), { code: 'ENOENT', syscall: 'parent' });
  await assert.rejects(ferrule.parent(7), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(ferrule.parent({ signal: AbortSignal.abort() }), { code: 'ABORT_ERR' });
}));

test('FERRULE_CHANNEL names what is no channel', isolated(async ({ folder }) => {
  const listener = new ferrule.Pipe().bind(`${folder}/s`).listen(() => {});
  const udp = new ferrule.UDP().bind('127.0.0.1', 0);
  const file = fs.openSync('/dev/null', 'r');
  const stdio = ['ignore', 'pipe', 'inherit', 'ignore', listener.fileno(), udp.fileno(), file];
  const values = [
    'fd:0', 'fd:1', 'fd:2', 'fd:4', 'fd:5', 'fd:6', 'fd:999', '', '3', 'fd:', 'fd:x', 'fd:-1', 'fd:3 ', 'fd:99999999999999999999',
    'pipe:x', 'tcp:127.0.0.1:1', 'x'.repeat(10_000),
  ];
  const program = childProcess.spawn(process.execPath, [fixture, 'wrong', ...values], { env, stdio });
  const over = event(program, 'close');
  let text = '';
  program.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
  assert.equal(await over, 0);
  const seen = JSON.parse(text);
  const codes = Object.fromEntries(Object.entries(seen).map(([value, [code]]) => [value.slice(0, 30), code]));
  const none = 'ERR_FERRULE_ADDRESS';
  assert.deepEqual(codes, {
    'fd:0': 'EINVAL', 'fd:1': 'EINVAL', 'fd:2': 'EINVAL', 'fd:4': 'ENOTCONN', 'fd:5': 'EPROTOTYPE', 'fd:6': 'ENOTSOCK',
    'fd:999': 'EBADF', '': none, '3': none, 'fd:': none, 'fd:x': none, 'fd:-1': none, 'fd:3 ': none,
    'fd:99999999999999999999': none, 'pipe:x': none, 'tcp:127.0.0.1:1': none, [values.at(-1).slice(0, 30)]: none,
  });
  // Whatever it says, it is taken, and cannot be taken again.
  for (const [value, [, after, again]] of Object.entries(seen)) assert.deepEqual([after, again], [null, 'ENOENT'], value.slice(0, 30));
  fs.closeSync(file);
  udp.close();
  const gone = event(listener, 'close');
  listener.destroy();
  await gone;
}));

test('a parent() that could not be leaves the channel', isolated(async () => {
  const started = await child('secret');
  assert.equal(String(await started.channel.receive()), 'ENOTSUP');
  assert.deepEqual(await started.close(), { code: 0, signal: null });
}));
