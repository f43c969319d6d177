'use strict';

/** Messages that were received and that nobody has taken yet. */

// The global one is looked up each time.
const { Buffer } = require('node:buffer');

/** What a message costs besides its bytes, so that a flood of empty ones is bounded too. */
const OVERHEAD = 64;
/** What a handle costs: descriptors are few, so that some hundred of them count as much as a full inbox. */
const HANDLE = 8192;
/** Marks a message that has a Buffer of its own. The addon's messages.h describes the layout. */
const OWN = 0xffffffff;
const EMPTY = Buffer.alloc(0);

/** What Buffer's own functions make their views of, without what they check before. */
const View = Buffer[Symbol.species];
const isView = View !== Buffer && Object.getPrototypeOf(new View(0)) === Buffer.prototype;

/** A Buffer of bytes that are inside of an ArrayBuffer. */
function view(memory, at, size) {
  return isView ? new View(memory, at, size) : Buffer.from(memory, at, size);
}

/**
 * The messages of one call of the addon.
 *
 * @param {Uint32Array | Buffer} sizes the one message when there is no count
 * @param {number} [count]
 * @param {Buffer[]} [buffers]
 * @returns {Buffer[]}
 */
function unpack(sizes, count, buffers) {
  if (count === undefined) return [sizes];
  const messages = new Array(count);
  let next = 0;
  let shared = EMPTY.buffer;
  let at = 0;
  let end = 0;
  for (let i = 0; i < count; i += 1) {
    const size = sizes[i];
    if (size === OWN) {
      messages[i] = buffers[next];
      next += 1;
      continue;
    }
    if (size === 0) {
      // It keeps nothing.
      messages[i] = EMPTY.subarray();
      continue;
    }
    if (at === end) {
      const slab = buffers[next];
      next += 1;
      shared = slab.buffer;
      at = slab.byteOffset;
      end = at + slab.length;
    }
    messages[i] = view(shared, at, size);
    at += size;
  }
  return messages;
}

function costOf(message, carries) {
  return message.length + OVERHEAD + (carries ? message.handles.length * HANDLE : 0);
}

class Inbox {
  #batches = [];
  #first = 0;
  #index = 0;
  #size = 0;
  #cost = 0;
  #carries;

  /** @param {boolean} carries messages have `handles`, which are closed with those that nobody takes */
  constructor(carries) {
    this.#carries = carries;
  }

  /** How many messages wait. */
  get size() {
    return this.#size;
  }

  /** About how many bytes they hold. */
  get cost() {
    return this.#cost;
  }

  /** @param {Buffer[]} messages */
  add(messages) {
    this.#batches.push(messages);
    this.#size += messages.length;
    for (const message of messages) this.#cost += costOf(message, this.#carries);
  }

  /** The oldest message; there must be one. */
  take() {
    const batch = this.#batches[this.#first];
    const message = batch[this.#index];
    batch[this.#index] = undefined;
    this.#index += 1;
    this.#size -= 1;
    this.#cost -= costOf(message, this.#carries);
    if (this.#index === batch.length) this.#nextBatch();
    return message;
  }

  /** Let all of them go. */
  clear() {
    if (this.#carries) {
      for (const batch of this.#batches) {
        // What was taken before left a gap.
        for (const message of batch ?? []) for (const handle of message?.handles ?? []) handle.close();
      }
    }
    this.#batches = [];
    this.#first = 0;
    this.#index = 0;
    this.#size = 0;
    this.#cost = 0;
  }

  #nextBatch() {
    this.#index = 0;
    this.#batches[this.#first] = undefined;
    this.#first += 1;
    // Each batch is moved at most once on the average.
    if (this.#first * 2 >= this.#batches.length) {
      this.#batches = this.#batches.slice(this.#first);
      this.#first = 0;
    }
  }
}

module.exports = { Inbox, unpack };
