// Shows requests.mjs: it asks itself, over a pair of channels.
// @ts-check
import { pair } from '../../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'
import { ask, serve } from './requests.mjs';

if (process.argv.length > 2) {
  console.error('usage: main.mjs');
  process.exit(2);
}

const service = {
  /** @param {number} a @param {number} b */
  add: (a, b) => a + b,
  /** @param {string} text */
  upper: async (text) => text.toUpperCase(),
};

const [here, there] = await pair();
const served = serve(there, service);
const request = /** @type {typeof ask<typeof service>} */ (ask)(here);
/** @type {[number, string]} */
const answers = await Promise.all([request('add', 2, 3), request('upper', 'hello')]);
console.log(answers);
// @ts-expect-error the types know what is given
await request('upper', 5).catch((error) => console.log(error.message));
// @ts-expect-error and what may be asked
await request('multiply', 2, 3).catch((error) => console.log(error.message));
await here.close();
await served;
await there.close();
await request('add', 2, 3).catch((error) => console.log(error.code));
