// A worker of mandelbrot.py: takes points as pairs of 64-bit numbers, and sends back how long each stays near.
// @ts-check
import { parent } from '../../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

const LONGEST = 250;

/** The numbers in a message. They can be looked at in place when they begin at a multiple of their size. @param {Buffer} message */
function numbers({ buffer, byteOffset, byteLength }) {
  const size = Float64Array.BYTES_PER_ELEMENT;
  if (byteOffset % size === 0) return new Float64Array(buffer, byteOffset, byteLength / size);
  return new Float64Array(buffer.slice(byteOffset, byteOffset + byteLength));
}

/** How many steps of z² + c it takes to get away from zero. @param {Float64Array} points @param {number} i */
function steps(points, i) {
  const [x, y] = /** @type {[number, number]} */ ([points[2 * i], points[2 * i + 1]]);
  let count = 0;
  for (let a = 0, b = 0; count < LONGEST && a * a + b * b <= 4; count += 1) [a, b] = [a * a - b * b + x, 2 * a * b + y];
  return count;
}

// Ctrl-C reaches all processes of a terminal. The pool decides when its workers end.
process.on('SIGINT', () => {});

const channel = await parent();
try {
  for await (const message of channel) {
    const points = numbers(message);
    const answer = new Uint16Array(points.length / 2);
    for (let i = 0; i < answer.length; i += 1) answer[i] = steps(points, i);
    // The bytes of the array are the message: nothing is converted.
    await channel.send(answer);
  }
} catch (error) {
  // The pool has died.
  if (!(error instanceof Error && 'code' in error && error.code === 'ECONNRESET')) throw error;
  process.exitCode = 1;
}
