'use strict';

/** One run: objects that random calls are made of, what is known to be true of them, and what went wrong. */

const { descriptors } = require('../descriptors.js');
const { Random } = require('./random.js');

/** The time after which something is taken not to happen any more. */
const PATIENCE = 60_000;

function turn() {
  return new Promise((resolve) => { setImmediate(resolve); });
}

class World {
  /** What was done, for who wants to know how it came to a failure. */
  trace = [];
  /** The first thing that was wrong. */
  failure = null;
  /** A random number of its own for every name. */
  names = 0;
  /** Descriptors are not taken as numbers: who is stopped between two calls would not close them. */
  careful = false;
  #actors = [];
  #pending = new Map();
  #makers;

  /**
   * @param {number} seed
   * @param {string} folder for sockets
   * @param {Record<string, [number, (world: World) => object]>} makers how often a kind of object is made, and how. It
   *   has step(), which makes a call, and finish(), a promise of its end
   */
  constructor(seed, folder, makers) {
    this.random = new Random(seed);
    this.folder = folder;
    this.#makers = makers;
  }

  note(what) {
    this.trace.push(what);
  }

  /** Something is wrong. */
  fail(what) {
    this.failure ??= what instanceof Error ? what : new Error(what);
  }

  check(holds, what) {
    if (!holds) this.fail(what);
  }

  /** An error that came up, whose code must be one of these. */
  allow(error, codes, what) {
    if (!codes.has(error?.code)) this.fail(new Error(`${what}: ${error?.code}`, { cause: error }));
  }

  /** Wait for it at the end. It must not be rejected. */
  track(promise, what) {
    const key = Symbol(what);
    this.#pending.set(key, what);
    const done = () => this.#pending.delete(key);
    promise.then(done, (error) => {
      done();
      this.fail(new Error(`${what} was rejected`, { cause: error }));
    });
  }

  add(actor) {
    this.#actors.push(actor);
  }

  /** Random calls, and then the end of everything. */
  async run(steps) {
    const { random } = this;
    for (let step = 0; step < steps && this.failure === null; step += 1) {
      if (this.#actors.length === 0 || random.once(10)) this.#make();
      else random.pick(this.#actors).step();
      await this.#rest();
    }
    let timer;
    const late = new Promise((resolve) => { timer = setTimeout(resolve, PATIENCE, 'late'); });
    if (await Promise.race([this.#finish(), late]) === 'late') {
      this.fail(`this did not happen: ${[...this.#pending.values()].join(', ')}`);
    }
    clearTimeout(timer);
  }

  #make() {
    const weights = Object.fromEntries(Object.entries(this.#makers).map(([name, [weight]]) => [name, weight]));
    const name = this.random.weighted(weights);
    this.note(`make ${name}`);
    this.track(this.#makers[name][1](this), `make ${name}`);
  }

  /** What is made of others while these end is ended, too. */
  async #finish() {
    this.note('finish');
    for (let at = 0; at < this.#actors.length || this.#pending.size > 0;) {
      const some = this.#actors.slice(at);
      at += some.length;
      some.forEach((actor) => this.track(actor.finish(), `the end of ${actor.name}`));
      if (this.failure !== null) return;
      await turn();
    }
    for (const actor of this.#actors) actor.verify?.();
  }

  /** Between two calls: nothing, promise jobs, turns of the loop, or the collector. */
  async #rest() {
    switch (this.random.weighted({ nothing: 40, jobs: 15, turn: 30, turns: 8, gc: 7 })) {
      case 'jobs':
        await undefined;
        break;
      case 'turn':
        await turn();
        break;
      case 'turns':
        for (let i = this.random.integer(2, 8); i > 0; i -= 1) await turn();
        break;
      case 'gc':
        global.gc();
        break;
      default:
    }
  }
}

/** Descriptors that are open now and were not before, after the collector has taken what nobody refers to. */
async function leftOpen(before) {
  let open = [];
  for (let i = 0; i < 30; i += 1) {
    global.gc();
    await turn();
    open = [...descriptors()].filter(([fd, what]) => before.get(fd) !== what).map(([, what]) => what);
    if (open.length === 0) break;
  }
  return open;
}

module.exports = { World, descriptors, leftOpen, turn };
