'use strict';

/** Ways in which the package could be broken, to see that it is noticed. */

const { EventEmitter } = require('node:events');
const { Duplex } = require('node:stream');
const { Inbox } = require('../../../bindings/node/lib/inbox.js');

/** Replace a method by what `make` gives, which is given the old one. */
function replace(prototype, name, make) {
  prototype[name] = make(prototype[name]);
}

/** Something happens every so often. */
function every(times) {
  let count = 0;
  return () => {
    count += 1;
    return count % times === 0;
  };
}

const ways = {
  'a message is lost'() {
    const now = every(10);
    replace(Inbox.prototype, 'add', (add) => function broken(messages) {
      add.call(this, now() ? messages.slice(1) : messages);
    });
  },
  'a message comes twice'() {
    const now = every(100);
    replace(Inbox.prototype, 'add', (add) => function broken(messages) {
      add.call(this, now() ? [...messages, messages[0]] : messages);
    });
  },
  'messages change places'() {
    const now = every(20);
    replace(Inbox.prototype, 'add', (add) => function broken(messages) {
      add.call(this, now() ? [...messages].reverse() : messages);
    });
  },
  'a byte of a stream is lost'({ Pipe }) {
    const now = every(50);
    Pipe.prototype.push = function broken(chunk) {
      return Duplex.prototype.push.call(this, chunk !== null && now() ? chunk.subarray(1) : chunk);
    };
  },
  'a close is not told'({ Channel }) {
    const now = every(20);
    Channel.prototype.emit = function broken(name, ...args) {
      return name === 'close' && now() ? false : EventEmitter.prototype.emit.call(this, name, ...args);
    };
  },
  'a drain is not told'({ Channel }) {
    Channel.prototype.emit = function broken(name, ...args) {
      return name === 'drain' ? false : EventEmitter.prototype.emit.call(this, name, ...args);
    };
  },
  'a handle is not closed'({ ReceivedHandle }) {
    const kept = [];
    ReceivedHandle.prototype.close = function broken() {
      kept.push(this);
    };
  },
  'a datagram comes twice'({ UDP }) {
    UDP.prototype.emit = function broken(name, ...args) {
      if (name === 'message') EventEmitter.prototype.emit.call(this, name, ...args);
      return EventEmitter.prototype.emit.call(this, name, ...args);
    };
  },
};

function breakPackage(ferrule, way) {
  ways[way](ferrule);
}

module.exports = { breakPackage, ways: Object.keys(ways) };
