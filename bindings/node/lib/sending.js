'use strict';

/** Many messages at once. */

const { abortError } = require('./errors.js');
const { forAddon } = require('./bytes.js');
const { ending, endings } = require('./opening.js');
const { typeError } = require('./options.js');

/** Messages in the shape that the addon takes. */
function checkMessages(messages) {
  const isOne = typeof messages === 'string' || ArrayBuffer.isView(messages);
  if (isOne || typeof messages?.[Symbol.iterator] !== 'function') {
    throw typeError('messages', 'an iterable of messages', messages);
  }
  const list = [];
  for (const message of messages) list.push(forAddon(message));
  return list;
}

/** Until there is room again, or the channel has ended: 'drain' comes then, too, and `sent` is settled. */
function room(channel, sent, signal) {
  return new Promise((resolve, reject) => {
    const settle = (error) => {
      channel.off('drain', ondrain);
      signal?.removeEventListener('abort', onabort);
      if (error === undefined) resolve();
      else reject(error);
    };
    const ondrain = () => settle();
    const onabort = () => settle(abortError(signal));
    channel.on('drain', ondrain);
    signal?.addEventListener('abort', onabort, { once: true });
    sent.then(ondrain, settle);
  });
}

/** The error with how many messages were sent. Others may be told the same error, so it is a copy. */
function withAccepted(error, accepted) {
  const copy = Object.assign(new error.constructor(error.message, { cause: error }), error, { accepted });
  return endings.has(error) ? ending(copy) : copy;
}

/**
 * Send all, waiting for room in between.
 *
 * @param {import('./channel.js').Channel} channel
 * @param {unknown[]} list in the shape that the addon takes; not empty
 * @param {(message: unknown) => void} push sends one, or throws
 * @param {() => Promise<void>} sent the promise that the kernel has all that was sent so far
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>} the kernel has all. Its error says in `accepted` how many were sent
 */
async function sendAll(channel, list, push, sent, signal) {
  let accepted = 0;
  try {
    while (accepted < list.length) {
      try {
        push(list[accepted]);
        accepted += 1;
      } catch (error) {
        // Over the hard cap: an empty queue takes any message.
        if (error.status !== 'FER_EAGAIN') throw error;
        await room(channel, sent(), signal);
        continue;
      }
      if (accepted < list.length && !channel.writable) await room(channel, sent(), signal);
    }
    await sent();
  } catch (error) {
    throw withAccepted(error, accepted);
  }
}

module.exports = { checkMessages, sendAll };
