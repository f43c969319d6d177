// Typed requests and replies on a channel: requests.mjs asks itself, over a pair of channels.
// @ts-check
import { pair } from '../../bindings/node/lib/index.mjs'; // when it is installed: from 'ferrule'

if (process.argv.length > 2) {
  console.error('usage: requests.mjs');
  process.exit(2);
}

/**
 * What may be asked, and what is answered: name -> function.
 * @typedef {{ add: (a: number, b: number) => number, upper: (text: string) => string }} Service
 */

/** @param {import('ferrule').Channel} channel @param {Service} service */
async function serve(channel, service) {
  for await (const message of channel) {
    const [id, name, args] = JSON.parse(String(message));
    try {
      if (!Object.hasOwn(service, name)) throw new Error(`nothing is called ${name}`);
      // @ts-expect-error the name comes from outside
      await channel.send(JSON.stringify([id, await service[name](...args)]));
    } catch (error) {
      await channel.send(JSON.stringify([id, null, String(error)]));
    }
  }
}

/** @param {import('ferrule').Channel} channel */
function ask(channel) {
  let last = 0;
  const waiting = new Map();
  channel.on('message', (message) => {
    const [id, result, failure] = JSON.parse(String(message));
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) resolve(result);
    else reject(new Error(failure));
  });
  channel.on('close', () => { for (const { reject } of waiting.values()) reject(new Error('the channel is closed')); });
  /** @template {keyof Service} Name @param {Name} name @param {Parameters<Service[Name]>} args
   *  @returns {Promise<ReturnType<Service[Name]>>} */
  return (name, ...args) => new Promise((resolve, reject) => {
    waiting.set(last += 1, { resolve, reject });
    channel.send(JSON.stringify([last, name, args])).catch(reject);
  });
}

const [here, there] = await pair();
serve(there, { add: (a, b) => a + b, upper: (text) => text.toUpperCase() });
const request = ask(here);
console.log(await Promise.all([request('add', 2, 3), request('upper', 'hello')]));
await request('upper', /** @type {any} */ (5)).catch((error) => console.log(error.message));
// @ts-expect-error the types know what may be asked
await request('multiply', 2, 3).catch((error) => console.log(error.message));
await here.close();
