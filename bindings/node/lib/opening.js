'use strict';

const { abortError, statusError } = require('./errors.js');
const { tell } = require('./diagnostics.js');

/** Errors that say no more than that a channel has ended. */
const endings = new WeakSet();

function ending(error) {
  endings.add(error);
  return error;
}

/** Whether the channel of these options takes handles. */
function carries({ numbers }) {
  return numbers[1] > 0;
}

/**
 * The promise of a channel that is about to open. `wait` is given what is to be called with the status and its
 * detail, and null when nobody waits any more.
 */
function untilOpen(channel, wait, { syscall, address }, signal) {
  return new Promise((resolve, reject) => {
    const settle = (error) => {
      signal?.removeEventListener('abort', onabort);
      wait(null);
      if (error === null) {
        tell('opened', { channel, address });
        resolve(channel);
        return;
      }
      reject(error);
      channel.abort();
    };
    const onabort = () => settle(abortError(signal));
    wait((number, detail) => {
      settle(number < 0 ? statusError(number, syscall, { detail, address }) : null);
    });
    signal?.addEventListener('abort', onabort, { once: true });
  });
}

module.exports = { carries, ending, endings, untilOpen };
