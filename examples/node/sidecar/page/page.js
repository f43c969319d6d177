// Starts and cancels the counting, and shows how far it is.
// @ts-check
/// <reference lib="dom" />
/// <reference lib="dom.iterable" />

const LARGEST = 10_000_000_000;
const form = element('form', HTMLFormElement);
const below = element('below', HTMLInputElement);
const start = element('start', HTMLButtonElement);
const cancel = element('cancel', HTMLButtonElement);
const progress = element('progress', HTMLProgressElement);
const percent = element('percent', HTMLElement);
const status = element('status', HTMLElement);

/** What is going on; null when nothing is. @type {AbortController | null} */
let running = null;

/** @template {HTMLElement} Kind @param {string} id @param {{ new (): Kind }} kind */
function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

/** The token comes with the address, and does not stay there. Reloading the page keeps it, other tabs have it not. */
function takeToken() {
  if (location.hash.length > 1) {
    sessionStorage.setItem('token', location.hash.slice(1));
    history.replaceState(null, '', location.pathname);
  }
}

/** Said aloud by a screen reader: what happened, and not every step of the way. @param {string} text */
function say(text) {
  status.textContent = text;
}

/** @param {number} done */
function show(done) {
  progress.value = done;
  percent.textContent = `${Math.floor(100 * done)}\u202f%`;
}

/** @param {number} number */
function format(number) {
  return new Intl.NumberFormat('en').format(number).replaceAll(',', '\u202f');
}

/** The number that was typed, with or without spaces; NaN when it is none that can be used. */
function typed() {
  const text = below.value.replace(/\s/g, '');
  const number = /^[0-9]{1,11}$/.test(text) ? Number(text) : NaN;
  return number >= 2 && number <= LARGEST ? number : NaN;
}

/** One button can be used at a time. Who is on the other by keyboard is taken along. @param {AbortController | null} now */
function setRunning(now) {
  running = now;
  const [usable, other] = now === null ? [start, cancel] : [cancel, start];
  const follows = document.activeElement === other;
  usable.disabled = false;
  if (follows) usable.focus();
  other.disabled = true;
  progress.toggleAttribute('aria-busy', now !== null);
}

/** The lines of an answer, as they come. @param {ReadableStream<Uint8Array>} body */
async function* lines(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = parts.pop() ?? '';
    yield* parts;
  }
}

/** What to say about a request that was refused. @param {number} code */
function refusal(code) {
  if (code === 401) return 'This page was not opened with the address that the program printed.';
  if (code === 503) return 'Too much is being counted already. Try again when something has ended.';
  return `The program refused this (${code}).`;
}

/** @param {number} number @param {AbortSignal} signal @returns {Promise<string>} what there is to say in the end */
async function count(number, signal) {
  const response = await fetch('count', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${sessionStorage.getItem('token') ?? ''}` },
    body: JSON.stringify({ below: number }),
    signal,
  });
  if (!response.ok || response.body === null) return refusal(response.status);
  for await (const line of lines(response.body)) {
    const news = JSON.parse(line);
    if (news.count !== undefined) {
      show(1);
      return `There are ${format(news.count)} primes below ${format(number)}.`;
    }
    if (news.failed !== undefined) return `It failed: ${news.failed}.`;
    if (news.restarted) {
      show(0);
      say('The counting process died. A new one begins again.');
    } else {
      show(news.done);
    }
  }
  throw new Error('the answer has no end');
}

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (running !== null) return;
  const number = typed();
  below.setAttribute('aria-invalid', String(Number.isNaN(number)));
  if (Number.isNaN(number)) {
    say(`Type a whole number from 2 to ${format(LARGEST)}.`);
    below.focus();
    return;
  }
  const stop = new AbortController();
  setRunning(stop);
  show(0);
  say(`Counting the primes below ${format(number)}.`);
  try {
    say(await count(number, stop.signal));
  } catch {
    // Of all that can go wrong between here and there, only one thing is likely.
    say(stop.signal.aborted ? 'Cancelled.' : 'The program has ended. Start it again, and open the address that it prints.');
  } finally {
    setRunning(null);
  }
});

cancel.addEventListener('click', () => running?.abort());
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') running?.abort();
});
addEventListener('hashchange', takeToken);
takeToken();
