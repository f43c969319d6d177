'use strict';

/** Streams that tell when nothing has come or gone for some time, as net.Socket does. */

const { codedError } = require('./errors.js');
const { checkFunction, typeError } = require('./options.js');

const LONGEST = 0x7fffffff;

function checkDuration(value) {
  if (typeof value !== 'number') throw typeError('timeout', 'a number', value);
  if (!(value >= 0 && value < Infinity)) {
    throw codedError(RangeError, 'ERR_OUT_OF_RANGE', `timeout must be a number of milliseconds, not ${value}`);
  }
  return Math.min(value, LONGEST);
}

/** Base with a timeout. What derives from it calls _active() whenever something comes or goes. */
function withIdle(Base) {
  return class Idle extends Base {
    #timer;
    #timeout;
    /** What waited to be written when time was up the last time. */
    #waited = 0;

    /**
     * Emit 'timeout' when nothing has come or gone for some time, and each time again. Nothing else happens: it is for
     * the listener to end the stream.
     *
     * @param {number} timeout in milliseconds; 0 for never
     * @param {() => void} [callback] a listener for the next 'timeout'; with 0, one that is taken away
     * @returns {this}
     */
    setTimeout(timeout, callback) {
      if (this.destroyed) return this;
      const time = checkDuration(timeout);
      if (callback !== undefined) checkFunction(callback, 'callback');
      this.#timeout = time;
      this._stopIdle();
      if (time > 0) {
        this.#timer = setTimeout(() => this.#onTime(), time);
        // A stream that waits for nothing else must not hold the process.
        this.#timer.unref();
      }
      if (callback !== undefined && time > 0) this.once('timeout', callback);
      else if (callback !== undefined) this.off('timeout', callback);
      return this;
    }

    /** What setTimeout() was given; undefined before. */
    get timeout() {
      return this.#timeout;
    }

    #onTime() {
      // A large write that goes on slowly is no silence.
      const waits = this.writableLength > 0 ? this.writeQueueSize : 0;
      const silent = waits === this.#waited;
      this.#waited = waits;
      if (silent) this.emit('timeout');
      else this.#timer?.refresh();
    }

    /** Something came or went. @private */
    _active() {
      this.#timer?.refresh();
    }

    /** @private */
    _stopIdle() {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  };
}

module.exports = { withIdle };
