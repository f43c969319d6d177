// Typed requests and replies on a channel: serve() answers with functions, ask() calls those of the other side.
// @ts-check
/** @typedef {import('ferrule').Channel} Channel @typedef {Record<string, (...args: any[]) => unknown>} Service */

/** Answers until the channel ends. @param {Channel} channel @param {Service} service */
export async function serve(channel, service) {
  for await (const message of channel) {
    const [id, name, args] = JSON.parse(String(message));
    const reply = await (async () => {
      const answer = Object.hasOwn(service, name) && service[name];
      if (!answer) throw new Error(`nothing is called ${name}`);
      return [id, await answer(...args)];
    })().catch((error) => [id, null, String(error)]);
    await channel.send(JSON.stringify(reply));
  }
}

/** Gives a function that asks, which is typed by the service. @template {Service} S @param {Channel} channel */
export function ask(channel) {
  let last = 0;
  const waiting = new Map();
  const fail = (/** @type {Error} */ error) => waiting.forEach(({ reject }) => reject(error));
  channel.on('error', fail).on('close', () => fail(new Error('the channel is closed'))).on('message', (message) => {
    const [id, result, failure] = JSON.parse(String(message));
    const { resolve, reject } = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) resolve(result);
    else reject(new Error(failure));
  });
  /** @template {keyof S} N @param {N} name @param {Parameters<S[N]>} args @returns {Promise<Awaited<ReturnType<S[N]>>>} */
  return (name, ...args) => new Promise((resolve, reject) => {
    waiting.set(last += 1, { resolve, reject });
    channel.send(JSON.stringify([last, name, args])).catch(reject);
  });
}
