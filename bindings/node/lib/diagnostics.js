'use strict';

/**
 * What is told on Node's diagnostics_channel. Messages are counted there, and never shown.
 *
 * Nothing is made for it, and nothing is counted, while nobody subscribes.
 */

const diagnostics = require('node:diagnostics_channel');

const events = {
  opened: diagnostics.channel('ferrule:channel:open'),
  closed: diagnostics.channel('ferrule:channel:close'),
  sent: diagnostics.channel('ferrule:channel:send'),
  received: diagnostics.channel('ferrule:channel:receive'),
  listening: diagnostics.channel('ferrule:server:listen'),
  refused: diagnostics.channel('ferrule:server:clientError'),
  stopped: diagnostics.channel('ferrule:server:close'),
};

/** @param {keyof typeof events} name */
function tell(name, about) {
  if (events[name].hasSubscribers) events[name].publish(about);
}

/** How many bytes a message has, in the shape that the addon takes. */
function sizeOf(data) {
  if (typeof data === 'string') return Buffer.byteLength(data);
  return Array.isArray(data) ? data.reduce((total, part) => total + part.byteLength, 0) : data.byteLength;
}

/** A message was sent over a channel, in the shape that the addon takes. */
function tellSent(channel, data, handles) {
  if (!events.sent.hasSubscribers) return;
  events.sent.publish({ channel, messages: 1, bytes: sizeOf(data), handles });
}

/** These messages came; `handles` as the addon's messages.h describes it. */
function tellReceived(channel, messages, handles) {
  if (!events.received.hasSubscribers) return;
  const bytes = messages.reduce((total, message) => total + message.byteLength, 0);
  events.received.publish({ channel, messages: messages.length, bytes, handles: (handles?.length ?? 0) / 3 });
}

module.exports = { tell, tellReceived, tellSent };
