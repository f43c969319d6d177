'use strict';

/** Many messages at once. */

const { abortError } = require('./errors.js');
const { forAddon } = require('./bytes.js');
const { typeError } = require('./options.js');

/** Messages in the shape that the addon takes. */
function checkMessages(messages) {
  const isOne = typeof messages === 'string' || ArrayBuffer.isView(messages);
  if (isOne || typeof messages?.[Symbol.iterator] !== 'function') {
    throw typeError('messages', 'an iterable of messages', messages);
  }
  return Array.from(messages, forAddon);
}

/** The next 'drain', which also comes when the channel has ended. */
function room(channel, signal) {
  return new Promise((resolve, reject) => {
    const settle = (error) => {
      channel.off('drain', ondrain);
      signal?.removeEventListener('abort', onabort);
      if (error === null) resolve();
      else reject(error);
    };
    const ondrain = () => settle(null);
    const onabort = () => settle(abortError(signal));
    channel.on('drain', ondrain);
    signal?.addEventListener('abort', onabort, { once: true });
  });
}

/**
 * Send all, waiting for room in between.
 *
 * @param {import('./channel.js').Channel} channel
 * @param {unknown[]} list in the shape that the addon takes; not empty
 * @param {(list: unknown[], from: number, callback: (error: Error | null) => void) => number} submit sends as many as
 *   there is room for, and gives how many; the callback is told when the kernel has the last one
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>} the kernel has all. Its error says in `accepted` how many were sent
 */
async function sendAll(channel, list, submit, signal) {
  let accepted = 0;
  let flushed;
  const done = new Promise((resolve, reject) => {
    flushed = (error) => (error === null ? resolve() : reject(error));
  });
  // Whoever is told of an earlier failure is not told of this one.
  done.catch(() => {});
  try {
    for (;;) {
      accepted += submit(list, accepted, flushed);
      if (accepted === list.length) break;
      // With room left, the next one is refused, and the next call tells why.
      if (!channel.writable) await room(channel, signal);
    }
    await done;
  } catch (error) {
    error.accepted = accepted;
    throw error;
  }
}

module.exports = { checkMessages, sendAll };
