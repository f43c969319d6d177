'use strict';

/** What may be sent, in the shape that the addon takes: a string, a Uint8Array or an array of them. */

const { codedError } = require('./errors.js');

/** From here on the addon refers to the memory until the kernel has it, instead of copying it. */
const BIG = 64 * 1024;

/** Memory that can shrink, or that another thread can change, must not be referred to: copy it. */
function stable(bytes) {
  if (bytes.byteLength < BIG) return bytes;
  const { buffer } = bytes;
  const fixed = buffer instanceof ArrayBuffer && buffer.resizable !== true;
  return fixed ? bytes : Buffer.from(bytes);
}

const validate = Function.prototype.call.bind(Uint8Array.prototype.keys);

/** Do what throws for memory that is gone, and say so as Node does. */
function withMemory(touch) {
  try {
    return touch();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw codedError(TypeError, 'ERR_INVALID_STATE', 'the memory of data was given away, or has shrunk');
  }
}

/**
 * Throw when the memory of a view was given away, or has shrunk so that the view does not fit into it any more: it looks
 * empty then, but there is nothing to send.
 *
 * @param {ArrayBufferView} view
 * @returns {ArrayBufferView} the view
 */
function checkMemory(view) {
  if (view instanceof DataView) withMemory(() => view.byteLength);
  else if (view.byteLength === 0) withMemory(() => validate(view));
  return view;
}

function toBytes(data) {
  if (ArrayBuffer.isView(data)) checkMemory(data);
  if (data instanceof Uint8Array) return stable(data);
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return stable(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) {
    return stable(withMemory(() => new Uint8Array(data)));
  }
  throw codedError(
    TypeError,
    'ERR_INVALID_ARG_TYPE',
    'data must be a string, a Buffer, a TypedArray, a DataView, an ArrayBuffer or an array of them',
  );
}

/**
 * @param {unknown} data
 * @returns {string | Uint8Array | Uint8Array[]}
 */
function forAddon(data) {
  if (typeof data === 'string') return data;
  return Array.isArray(data) ? data.map(toBytes) : toBytes(data);
}

module.exports = { checkMemory, forAddon };
