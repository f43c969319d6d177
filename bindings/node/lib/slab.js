'use strict';

/** Memory in which small messages gather until they cross into the addon together. src/send.c describes the layout. */

/** Bytes for messages, and at the beginning those for their sizes. */
const ROOM = 64 * 1024;
const SIZES = 16 * 1024;
const MOST = SIZES / Uint32Array.BYTES_PER_ELEMENT;
/** How many are kept for the next time. */
const SPARES = 4;

/** As a method of whatever typed array: one may have methods of its own. */
const copy = Function.prototype.call.bind(Object.getPrototypeOf(Uint8Array.prototype).set);

class Slab {
  #sizes;
  #bytes;
  #used = 0;

  constructor() {
    this.memory = new ArrayBuffer(SIZES + ROOM);
    this.#sizes = new Uint32Array(this.memory, 0, MOST);
    this.#bytes = Buffer.from(this.memory, SIZES);
    /** How many messages it has. */
    this.count = 0;
  }

  /** Whether a message of so many bytes fits. */
  hasRoom(size) {
    return this.count < MOST && this.#used + size <= ROOM;
  }

  /** There must be room for `size`, which is that of the bytes. */
  addBytes(bytes, size) {
    copy(this.#bytes, bytes, this.#used);
    return this.#added(size);
  }

  /** There must be room for it, as UTF-8; how much it is. */
  addText(text) {
    return this.#added(this.#bytes.write(text, this.#used));
  }

  clear() {
    this.#used = 0;
    this.count = 0;
  }

  #added(size) {
    this.#sizes[this.count] = size;
    this.count += 1;
    this.#used += size;
    return size;
  }
}

/** Slabs that nobody uses. */
const spares = [];

function takeSlab() {
  return spares.pop() ?? new Slab();
}

function giveSlab(slab) {
  slab.clear();
  if (spares.length < SPARES) spares.push(slab);
}

module.exports = { giveSlab, takeSlab };
