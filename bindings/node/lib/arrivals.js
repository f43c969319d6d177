'use strict';

/** The channels of a server that has no handler, for who iterates over the server. */
class Arrivals {
  #waiting = [];
  #takers = [];
  #iterators = 0;
  #over = false;

  /** @param {import('./channel.js').Channel} channel */
  add(channel) {
    if (this.#takers.length > 0) this.#takers.shift()({ value: channel, done: false });
    else this.#waiting.push(channel);
  }

  /** A channel closed. When nobody has taken it, nobody will see it. */
  remove(channel) {
    const place = this.#waiting.indexOf(channel);
    if (place >= 0) this.#waiting.splice(place, 1);
  }

  /** The server is closed. Whoever iterates still gets what came before; otherwise nobody will. */
  end() {
    this.#over = true;
    for (const take of this.#takers.splice(0)) take({ value: undefined, done: true });
    if (this.#iterators === 0) for (const channel of this.#waiting.splice(0)) channel.abort();
  }

  /** Leaving the loop leaves the server open. */
  iterate() {
    let active = true;
    this.#iterators += 1;
    const leave = () => {
      if (active) this.#iterators -= 1;
      active = false;
      if (this.#over) this.end();
      return { value: undefined, done: true };
    };
    return {
      next: async () => {
        if (!active) return { value: undefined, done: true };
        if (this.#waiting.length > 0) return { value: this.#waiting.shift(), done: false };
        if (this.#over) return leave();
        const result = await new Promise((resolve) => { this.#takers.push(resolve); });
        return result.done ? leave() : result;
      },
      return: async () => leave(),
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }
}

module.exports = { Arrivals };
