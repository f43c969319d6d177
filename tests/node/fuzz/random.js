'use strict';

/** Random choices that a seed determines. */

class Random {
  #state;

  /** @param {number} seed a 32-bit number */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /** From 0 up to 1, which it never is. */
  #next() {
    // mulberry32, which is in the public domain.
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to `most`. */
  integer(least, most) {
    return least + Math.floor(this.#next() * (most - least + 1));
  }

  /** Whether something happens that does so once in so many times. */
  once(times) {
    return this.#next() * times < 1;
  }

  /** One of a list. */
  pick(list) {
    return list[Math.floor(this.#next() * list.length)];
  }

  /** A key of an object whose values say how often it comes. */
  weighted(weights) {
    const entries = Object.entries(weights);
    let at = this.#next() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [key, weight] of entries) {
      at -= weight;
      if (at < 0) return key;
    }
    return entries.at(-1)[0];
  }

  /** How many bytes: few, around a boundary, or many. */
  size() {
    switch (this.integer(0, 9)) {
      case 0:
        return this.pick([8191, 8192, 16_384, 65_535, 65_536, 65_537]);
      case 1:
        return this.integer(60_000, 400_000);
      case 2:
      case 3:
        return this.integer(1000, 20_000);
      default:
        return this.integer(8, 300);
    }
  }
}

module.exports = { Random };
