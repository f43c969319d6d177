'use strict';

/** How channels come about: in pairs, and from servers whose clients come and go. */

const { connect, listen, pair, Pipe } = require('../../../bindings/node');
const { Link } = require('./link.js');

/** What a connect may end with that a server does not serve, or that gave up. */
const UNSERVED = new Set(['ECONNRESET', 'ECONNREFUSED', 'ENOENT', 'ETIMEDOUT', 'ABORT_ERR', 'EPIPE', 'ECANCELED']);
/** What a server tells of such clients. It cannot know whose a TCP connection was that is gone. */
const CLIENTS = new Set(['EACCES', 'ECONNRESET', 'EBUSY', 'ECONNABORTED', 'EPIPE', 'ECANCELED', 'ETIMEDOUT']);

/** Options that both sides have. */
function options(random, mayCarry, wires = ['native']) {
  const given = { wire: random.pick(wires), maxHandles: mayCarry && random.once(2) ? random.integer(1, 4) : 0 };
  if (random.once(3)) given.highWater = random.integer(1, 200_000);
  if (random.once(4)) given.hardCap = random.integer(100_000, 500_000);
  if (random.once(6)) given.maxMessage = random.integer(10_000, 300_000);
  if (random.once(3)) given.inline = true;
  if (given.wire === 'plain') given.maxHandles = 0;
  return given;
}

/** A link of pair(), or of two ends of a pipe. */
async function makePair(world) {
  const { random } = world;
  const given = options(random, true);
  if (random.once(2) || world.careful) {
    new Link(world, await pair(given), given);
    return;
  }
  const fds = Pipe.pair().map((pipe) => pipe.detach());
  new Link(world, await Promise.all(fds.map((fd) => connect(`fd:${fd}`, given))), given);
}

class Servant {
  /** Who comes says a name first, and is waited for under it. */
  #expected = new Map();
  #closing = false;
  #links = [];
  #over = 0;
  #once;

  constructor(world, name, given) {
    this.world = world;
    this.name = name;
    this.given = given;
  }

  /** Listen, with a handler or to be iterated over. */
  async open(address) {
    const { random } = this.world;
    this.#once = address === 'fifo:';
    const welcome = (channel) => { this.world.track(this.#welcome(channel), `${this.name} welcomes`); };
    const iterated = random.once(3);
    this.server = await listen(address, this.given, iterated ? undefined : welcome);
    this.server.on('clientError', (error) => this.world.allow(error, CLIENTS, `${this.name}: clientError`));
    this.server.on('close', () => {
      this.#over += 1;
      for (const settle of this.#expected.values()) settle(null);
      this.#expected.clear();
    });
    if (iterated) {
      const loop = async () => {
        for await (const channel of this.server) welcome(channel);
      };
      this.world.track(loop(), `${this.name} iterates`);
    }
    this.world.add(this);
  }

  /** Somebody came: find out who it is. */
  async #welcome(channel) {
    let name = null;
    try {
      name = await channel.receive({ timeout: 5000 });
    } catch (error) {
      this.world.allow(error, UNSERVED, `${this.name}: a name`);
    }
    const settle = name === null ? undefined : this.#expected.get(String(name));
    this.#expected.delete(String(name));
    if (settle === undefined) {
      channel.on('error', () => {});
      channel.abort();
    } else {
      settle(channel);
    }
  }

  step() {
    const call = this.world.random.weighted({ connect: 20, look: 4, hold: 2, close: 0.6, drain: 0.4 });
    this.world.note(`${this.name} ${call}`);
    this[call]();
  }

  connect() {
    // FIFOs are for one at a time.
    if (this.#once && this.#links.length > 0) return;
    const link = { sides: null };
    this.#links.push(link);
    this.world.track(this.#meet(link), `${this.name} connect`);
  }

  async #meet(link) {
    const { random } = this.world;
    this.world.names += 1;
    const name = `client ${this.world.names}`;
    const controller = new AbortController();
    const { maxChannels, ...given } = this.given;
    if (random.once(6)) setImmediate(() => controller.abort());
    let client;
    try {
      client = await connect(this.server.address, { ...given, timeout: 300, signal: controller.signal });
    } catch (error) {
      this.world.allow(error, UNSERVED, `${name}: connect`);
      return;
    }
    const arrival = new Promise((resolve) => { this.#expected.set(name, resolve); });
    const gone = new Promise((resolve) => { client.once('close', resolve); });
    if (this.#over > 0 || !this.#introduce(client, name)) this.#expected.get(name)(null);
    const peer = await arrival;
    if (peer === null) {
      client.abort();
      await gone;
      return;
    }
    link.sides = new Link(this.world, [client, peer], this.given).sides;
    // The server was told to close its channels before this one was known here.
    if (this.#closing === 'drain') link.sides[1].closing = true;
  }

  /** Whether the name was sent. */
  #introduce(client, name) {
    try {
      return client.trySend(name);
    } catch (error) {
      this.world.allow(error, UNSERVED, `${name}: its name`);
      return false;
    }
  }

  look() {
    const { server, given } = this;
    this.world.check(server.count >= 0 && (given.maxChannels === 0 || server.count <= given.maxChannels), `${this.name}: too many`);
    this.world.check(server.closed === (this.#closing !== false), `${this.name}: closed`);
  }

  hold() {
    this.server.unref().ref();
  }

  close() {
    this.#closing ||= 'close';
    this.world.track(this.server.close(), `${this.name} close`);
  }

  drain() {
    this.#closing = 'drain';
    for (const { sides } of this.#links) if (sides !== null) sides[1].closing = true;
    this.world.track(this.world.random.once(2) ? this.server.drain() : this.server.close({ drain: true }), `${this.name} drain`);
  }

  async finish() {
    this.#closing ||= 'close';
    await this.server.close();
  }

  verify() {
    this.world.check(this.#over === 1, `${this.name}: ${this.#over} times 'close'`);
    this.world.check(this.server.count === 0, `${this.name}: ${this.server.count} channels are left`);
  }
}

async function makeServer(world) {
  const { random } = world;
  world.names += 1;
  const way = random.weighted({ pipe: 6, tcp: 3, fifo: 1 });
  const given = options(random, way === 'pipe', ['native', 'native', 'plain']);
  given.maxChannels = random.once(4) ? random.integer(1, 3) : 0;
  const address = { pipe: `pipe:${world.folder}/${world.names}`, tcp: 'tcp:127.0.0.1:0', fifo: 'fifo:' }[way];
  await new Servant(world, `server ${world.names}, ${way}`, given).open(address);
}

module.exports = { makePair, makeServer };
