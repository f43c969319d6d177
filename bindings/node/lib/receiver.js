'use strict';

/** The receiving half of a channel: who gets which message, and when the peer has to wait. */

const native = require('./native.js');
const { abortError, check, status, statusError } = require('./errors.js');
const { Inbox } = require('./inbox.js');
const { checkOptions, checkSignal, checkTime } = require('./options.js');
const { makeReceived } = require('./received.js');

/** About how many received bytes may wait for their taker before the peer is made to wait. */
const WINDOW = 1024 * 1024;

/** The handles of a message that has none. */
const NONE = Object.freeze([]);

/**
 * Give each message its handles.
 *
 * @param {Buffer[]} messages
 * @param {unknown[]} [handles] as the addon's messages.h describes it
 */
function attach(messages, handles = NONE) {
  for (const message of messages) message.handles = NONE;
  for (let i = 0; i < handles.length; i += 3) {
    const message = messages[handles[i]];
    if (message.handles === NONE) message.handles = [];
    message.handles.push(makeReceived(handles[i + 1], handles[i + 2]));
  }
}

/** The promise of one message, with the functions that settle it. */
function makeTaker() {
  const taker = {};
  taker.promise = new Promise((resolve, reject) => {
    taker.resolve = resolve;
    taker.reject = reject;
  });
  return taker;
}

/**
 * A message goes to whoever waits in take() first, otherwise to the listeners of 'message', unless a
 * `for await` is under way, whose turn comes. What nobody takes waits here, then in the kernel.
 */
class Receiver {
  #handle;
  #events;
  #ondone;
  #onwaits;
  /** Handles may come with messages. */
  #carries;
  #inbox;
  #takers = [];
  #iterators = 0;
  /** take() was used: an error may wait for its next turn instead of being an event. */
  #pulled = false;
  #started = false;
  #held = false;
  #paused = false;
  #delivering = false;
  /** Listeners of 'message'. */
  #listeners = 0;
  #stopped = false;
  /** { error } once the peer has ended; null in it for a goodbye. */
  #ended = null;
  #told = false;

  /**
   * @param {object} handle the addon's channel
   * @param {import('node:events')} events where 'message', 'end' and 'error' go
   * @param {boolean} carries handles may come with messages, which have `handles` then
   * @param {() => void} ondone called when `done` may have become true
   * @param {() => void} onwaits called when `waits` may have changed
   */
  constructor(handle, events, carries, ondone, onwaits) {
    this.#handle = handle;
    this.#events = events;
    this.#carries = carries;
    this.#inbox = new Inbox(carries);
    this.#ondone = ondone;
    this.#onwaits = onwaits;
  }

  /** Whether somebody asked for messages: then the end of the channel is told, too. */
  get started() {
    return this.#started;
  }

  /** Whether somebody waits for messages. */
  get waits() {
    return this.#takers.length > 0 || (!this.#paused && this.#listeners > 0);
  }

  get paused() {
    return this.#paused;
  }

  /** Whether the end, with its error if there was one, has reached somebody. */
  get told() {
    return this.#told;
  }

  /** Whether nothing more will be delivered, except an error that waits for the next take(). */
  get done() {
    return this.#stopped || this.#told || (this.#ended !== null && this.#inbox.size === 0 && this.#errorWaits());
  }

  /** Somebody asks for messages. */
  start() {
    if (!this.#started && !this.#stopped && this.#ended === null) {
      check(this.#handle.receive(), 'receive');
      this.#started = true;
    }
    this.update();
    if (this.#inbox.size > 0 || this.#ended !== null) this.#deliverSoon();
  }

  /** Listeners came or went. */
  update() {
    this.#listeners = this.#events.listenerCount('message');
    this.#onwaits();
  }

  pause() {
    this.#paused = true;
    this.#regulate();
  }

  resume() {
    this.#paused = false;
    this.start();
    this.#regulate();
  }

  /** Messages came, and perhaps handles with them. */
  add(messages, handles) {
    if (this.#stopped) {
      for (let i = 2; handles !== undefined && i < handles.length; i += 3) native.receivedClose(handles[i]);
      return;
    }
    if (this.#carries) attach(messages, handles);
    if (this.#inbox.size > 0 || this.#delivering) this.#inbox.add(messages);
    else this.#emitAll(messages);
    this.#deliver();
  }

  /** The peer ended: `error` is null for a goodbye. */
  end(error) {
    if (this.#stopped || this.#ended !== null) return;
    this.#ended = { error };
    this.#deliver();
  }

  /** This side closes: what was not taken is dropped, whoever waits gets null. */
  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#inbox.clear();
    for (const taker of this.#takers.splice(0)) taker.resolve(null);
    this.#ondone();
  }

  /**
   * Take the next message, or null at the end.
   *
   * @param {{ signal?: AbortSignal, timeout?: number }} options timeout in milliseconds
   * @returns {Promise<Buffer | null>}
   */
  async receive(options) {
    const { signal, timeout } = checkOptions(options);
    checkSignal(signal);
    const time = checkTime(timeout, 'options.timeout');
    if (signal?.aborted) throw abortError(signal);
    let timer;
    let onabort;
    try {
      return await this.take((cancel) => {
        onabort = () => cancel(abortError(signal));
        signal?.addEventListener('abort', onabort, { once: true });
        if (time > 0) timer = setTimeout(() => cancel(statusError(status.ETIMEDOUT, 'receive')), time);
      });
    } finally {
      clearTimeout(timer);
      if (onabort !== undefined) signal?.removeEventListener('abort', onabort);
    }
  }

  /**
   * Take the next message, or null at the end.
   *
   * @param {(cancel: (error: Error) => void) => void} [watch] is given a function that gives up, as long as no
   *   message was taken
   * @returns {Promise<Buffer | null>}
   */
  async take(watch) {
    this.#pulled = true;
    if (this.#inbox.size > 0 && this.#takers.length === 0) {
      const message = this.#inbox.take();
      this.#regulate();
      if (this.#ended !== null && this.#inbox.size === 0) this.#deliverSoon();
      return message;
    }
    if (this.#stopped || this.#told) return null;
    if (this.#ended !== null && this.#inbox.size === 0) return this.#takeEnd();
    const taker = makeTaker();
    this.#takers.push(taker);
    this.start();
    this.#regulate();
    watch?.((error) => this.#giveUp(taker, error));
    return taker.promise;
  }

  /** The messages as an iterator, until the end. */
  iterate() {
    let active = true;
    this.#iterators += 1;
    this.#pulled = true;
    const leave = () => {
      if (active) this.#iterators -= 1;
      active = false;
    };
    const finished = { value: undefined, done: true };
    return {
      next: async () => {
        if (!active) return finished;
        let message = null;
        try {
          message = await this.take();
        } finally {
          if (message === null) leave();
        }
        return message === null ? finished : { value: message, done: false };
      },
      return: async () => {
        leave();
        this.#deliverSoon();
        return finished;
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #giveUp(taker, error) {
    const place = this.#takers.indexOf(taker);
    if (place < 0) return;
    this.#takers.splice(place, 1);
    this.#regulate();
    taker.reject(error);
  }

  /** The end, for somebody who asks after it came. */
  #takeEnd() {
    const { error } = this.#ended;
    if (error === null) {
      this.#deliverSoon();
      return null;
    }
    this.#told = true;
    this.#ondone();
    throw error;
  }

  #deliverSoon() {
    process.nextTick(() => this.#deliver());
  }

  /** Give out what there is, and then the end. */
  #deliver() {
    if (this.#delivering || this.#stopped) return;
    this.#delivering = true;
    let whole = false;
    try {
      while (this.#inbox.size > 0 && this.#deliverOne());
      if (!this.#stopped && this.#inbox.size === 0 && this.#ended !== null) this.#tellEnd();
      whole = true;
    } finally {
      this.#delivering = false;
      // A listener threw. The other messages are not lost: they come in the next turn.
      if (!whole) this.#deliverSoon();
      this.#regulate();
      this.#ondone();
    }
  }

  /** Give messages to the listeners straight away, and keep those that they do not take. */
  #emitAll(messages) {
    let next = 0;
    let whole = false;
    this.#delivering = true;
    try {
      while (next < messages.length && this.#flows()) {
        const message = messages[next];
        next += 1;
        this.#events.emit('message', message, this.#carries ? message.handles : NONE);
      }
      whole = true;
    } finally {
      this.#delivering = false;
      if (next < messages.length) this.#inbox.add(next === 0 ? messages : messages.slice(next));
      if (this.#stopped) this.#inbox.clear();
      // A listener threw: see #deliver().
      if (!whole) this.#deliverSoon();
    }
  }

  /** Whether messages go to listeners now. */
  #flows() {
    return this.#listeners > 0 && !this.#paused && this.#iterators === 0 && this.#takers.length === 0 && !this.#stopped;
  }

  #deliverOne() {
    if (this.#takers.length > 0) {
      this.#takers.shift().resolve(this.#inbox.take());
      return true;
    }
    if (!this.#flows()) return false;
    const message = this.#inbox.take();
    this.#events.emit('message', message, this.#carries ? message.handles : NONE);
    return true;
  }

  /** Whether an error waits for the next take(), because that is how messages are taken here. */
  #errorWaits() {
    const listeners = this.#events.listenerCount('error') + this.#listeners;
    return this.#ended.error !== null && this.#pulled && listeners === 0;
  }

  #tellEnd() {
    const { error } = this.#ended;
    const takers = this.#takers.splice(0);
    if (this.#told) return;
    if (takers.length === 0 && (this.#paused || this.#errorWaits())) return;
    this.#told = true;
    for (const taker of takers) {
      if (error === null) taker.resolve(null);
      else taker.reject(error);
    }
    if (error === null) this.#events.emit('end');
    else if (takers.length === 0 || this.#events.listenerCount('error') > 0) this.#events.emit('error', error);
  }

  /** Have the kernel, and in the end the peer, wait while too much waits here. */
  #regulate() {
    this.#onwaits();
    if (!this.#started || this.#stopped || this.#ended !== null) return;
    const waits = this.#takers.length > 0;
    const stop = !waits && (this.#paused || this.#inbox.cost >= WINDOW);
    const go = waits || (!this.#paused && this.#inbox.cost < WINDOW / 2);
    if (!this.#held && stop) this.#hold(this.#handle.pause(), true);
    else if (this.#held && go) this.#hold(this.#handle.resume(), false);
  }

  #hold(number, held) {
    // A channel that broke meanwhile tells so in its own time.
    if (number === status.OK) this.#held = held;
  }
}

module.exports = { NONE, Receiver };
