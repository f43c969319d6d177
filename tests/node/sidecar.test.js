'use strict';

/** The example of a page whose work is done by a child: over HTTP, and in a browser. */

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');
const { after, test } = require('node:test');
const { addon, package_, root } = require('./helpers.js');

const PROGRAM = path.join(root, 'examples', 'node', 'sidecar', 'main.mjs');
const PYTHON = path.join(root, '.venv', 'bin', 'python');
/** Takes minutes: it is cancelled. */
const ENDLESS = 10_000_000_000;

/** A test, and the programs that it starts, which end with it. */
function trial(name, body) {
  test(name, { timeout: 120_000 }, async (t) => {
    const start = (...args) => startProgram(t, args);
    await body({ t, start });
  });
}

/** The program, as a user starts it: { run, ended, line(), lines(), complaints() }. */
function startProgram(t, args) {
  const run = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, FERRULE_NODE_ADDON: addon, NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let complaints = '';
  run.stderr.setEncoding('utf8').on('data', (text) => { complaints += text; });
  const ended = once(run, 'close');
  t.after(async () => {
    run.kill('SIGKILL');
    await ended;
  });
  const reader = readline.createInterface({ input: run.stdout })[Symbol.asyncIterator]();
  const line = async () => (await reader.next()).value;
  return { run, ended, line, complaints: () => complaints };
}

/** The program when its page can be opened: also { address, host, token, child }. */
async function open(start, ...args) {
  const program = start('--python', PYTHON, ...args);
  const child = await childOf(program);
  const [, address, host, token] = /^open (http:\/\/(127\.0\.0\.1:\d+)\/#(.*))$/.exec(await program.line());
  assert.match(token, /^[\w-]{43}$/);
  return { ...program, address, host, token, child };
}

/** The number of the child that it says it has started. */
async function childOf(program) {
  return Number(/^child (\d+) started$/.exec(await program.line())[1]);
}

/** Whether a process is there, and no zombie. */
function lives(pid) {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch (error) {
    assert.ok(error.code === 'ENOENT' || error.code === 'ESRCH', error);
    return false;
  }
}

/** Look again until it is so: for what nobody tells. */
async function until(condition) {
  while (!condition()) await new Promise((resolve) => { setTimeout(resolve, 5); });
}

/** What the page asks for; headers that are undefined are left out. */
function ask({ host, token }, { method = 'POST', url = '/count', headers = {}, body = JSON.stringify({ below: 100 }) } = {}) {
  const [hostname, port] = host.split(':');
  const all = {
    Origin: `http://${host}`,
    'Sec-Fetch-Site': 'same-origin',
    'Content-Type': 'application/json',
    Authorization: `Bearer ${token}`,
    ...headers,
  };
  for (const name of Object.keys(all)) if (all[name] === undefined) delete all[name];
  const request = http.request({ hostname, port, method, path: url, agent: false, headers: all });
  request.end(method === 'POST' ? body : undefined);
  return request;
}

/** The answer: { status, headers, text }. */
async function answer(request) {
  const [response] = await once(request, 'response');
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += chunk;
  return { status: response.statusCode, headers: response.headers, text };
}

trial('only the page may ask, and only with the token', async ({ start }) => {
  const program = await open(start);
  const status = async (options) => (await answer(ask(program, options))).status;
  const refused = [
    [403, { headers: { Host: 'evil.example' } }],
    [403, { headers: { Host: `localhost:${program.host.split(':')[1]}` } }],
    [403, { headers: { Host: 'evil.example' }, method: 'GET', url: '/' }],
    [403, { headers: { Origin: 'http://evil.example' } }],
    [403, { headers: { Origin: 'null' } }],
    [403, { headers: { Origin: undefined } }],
    [403, { headers: { 'Sec-Fetch-Site': 'cross-site' } }],
    [403, { headers: { 'Sec-Fetch-Site': 'same-site' } }],
    [403, { headers: { 'Sec-Fetch-Site': 'cross-site' }, method: 'GET', url: '/page.js' }],
    [401, { headers: { Authorization: undefined } }],
    [401, { headers: { Authorization: `Bearer ${program.token}x` } }],
    [401, { headers: { Authorization: `Bearer ${program.token.slice(1)}` } }],
    [401, { headers: { Authorization: program.token } }],
    [415, { headers: { 'Content-Type': 'text/plain' } }],
    [413, { body: JSON.stringify({ below: 100, more: 'x'.repeat(1000) }) }],
    [411, { headers: { 'Transfer-Encoding': 'chunked' } }],
    ...['', '[]', 'null', '{"below":1}', '{"below":2.5}', '{"below":"100"}', '{"below":10000000001}', '{"above":3}'].map((body) => [400, { body }]),
    [405, { method: 'GET' }],
    [405, { url: '/' }],
    [405, { method: 'DELETE', url: '/' }],
    [404, { method: 'GET', url: '/main.mjs' }],
    [404, { method: 'GET', url: '/../main.mjs' }],
    [404, { method: 'GET', url: '/constructor' }],
  ];
  for (const [expected, options] of refused) assert.equal(await status(options), expected, JSON.stringify(options));
  // What is typed into a browser comes from nowhere, and so does what is no browser.
  for (const site of ['none', undefined]) {
    const page = await answer(ask(program, { method: 'GET', url: '/', headers: { 'Sec-Fetch-Site': site, Authorization: undefined } }));
    assert.equal(page.status, 200);
    assert.match(page.headers['content-security-policy'], /^default-src 'none'; .*frame-ancestors 'none'/);
    assert.equal(page.headers['x-content-type-options'], 'nosniff');
    assert.equal(page.headers['access-control-allow-origin'], undefined);
    assert.ok(!page.text.includes(program.token));
  }
  const { status: found, text } = await answer(ask(program));
  assert.equal(found, 200);
  assert.equal(text, '{"done":1}\n{"count":25}\n');
  program.run.kill('SIGTERM');
  assert.deepEqual(await program.ended, [0, null]);
  assert.equal(program.complaints(), '');
  assert.equal(lives(program.child), false);
});

trial('the numbers are right', async ({ start }) => {
  const program = await open(start);
  const counts = { 2: 0, 3: 1, 4: 2, 5: 2, 10: 4, 25: 9, 26: 9, 1000: 168, 524_290: 43_390, 1_000_000: 78_498 };
  const texts = await Promise.all(Object.keys(counts).slice(0, 4).map((below) => answer(ask(program, { body: `{"below":${below}}` }))));
  for (const below of Object.keys(counts).slice(4)) texts.push(await answer(ask(program, { body: `{"below":${below}}` })));
  assert.deepEqual(texts.map(({ text }) => JSON.parse(text.trim().split('\n').pop())), Object.values(counts).map((count) => ({ count })));
});

trial('who goes away has cancelled, and makes room', async ({ start }) => {
  const program = await open(start);
  const endless = { body: `{"below":${ENDLESS}}` };
  const running = [];
  for (let i = 0; i < 4; i += 1) {
    const request = ask(program, endless);
    const [response] = await once(request, 'response');
    await once(response, 'data');
    running.push(request);
  }
  assert.equal((await answer(ask(program, endless))).status, 503);
  running.pop().destroy();
  let last;
  do last = await answer(ask(program)); while (last.status === 503);
  assert.equal(last.text, '{"done":1}\n{"count":25}\n');
  for (const request of running) request.on('error', () => {}).destroy();
});

/** A program in the place of Python, that runs shell commands; `$@` is what it is called with. */
function inPlaceOfPython(t, commands) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ferrule-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const file = path.join(folder, 'python');
  fs.writeFileSync(file, `#!/bin/sh\n${commands}\n`, { mode: 0o755 });
  return file;
}

const DIES = path.join(__dirname, 'fixtures', 'dies_of_it.py');

trial('a job that the child dies of', async ({ start, t }) => {
  const program = await open(start, '--python', inPlaceOfPython(t, `exec ${PYTHON} ${DIES}`));
  for (let i = 0; i < 2; i += 1) {
    const { text } = await answer(ask(program));
    assert.equal(text, '{"restarted":true}\n{"restarted":true}\n{"failed":"the child has died"}\n');
  }
  program.run.kill('SIGINT');
  assert.deepEqual(await program.ended, [0, null]);
});

trial('a job whose child dies once', async ({ start, t }) => {
  const once_ = inPlaceOfPython(t, `if mkdir $0.died 2>&-; then exec ${PYTHON} ${DIES}; fi\nexec ${PYTHON} "$@"`);
  const program = await open(start, '--python', once_);
  assert.equal((await answer(ask(program))).text, '{"restarted":true}\n{"done":1}\n{"count":25}\n');
});

trial('the child ends with a program that is killed', async ({ start }) => {
  const program = await open(start);
  const request = ask(program, { body: `{"below":${ENDLESS}}` }).on('error', () => {});
  await once(request, 'response');
  program.run.kill('SIGKILL');
  await program.ended;
  await until(() => !lives(program.child));
});

trial('arguments, a child and a port that are none', async ({ start }) => {
  for (const args of [['--port', 'x'], ['--port', '65536'], ['--colour'], ['more']]) {
    const program = start(...args);
    assert.deepEqual(await program.ended, [2, null]);
    assert.match(program.complaints(), /\nusage: main\.mjs /);
  }
  const none = start('--python', '/nowhere/python');
  assert.deepEqual(await none.ended, [1, null]);
  assert.match(none.complaints(), /ENOENT/);
  const first = await open(start);
  const second = start('--python', PYTHON, '--port', first.host.split(':')[1]);
  assert.deepEqual(await second.ended, [1, null]);
  assert.match(second.complaints(), /EADDRINUSE/);
});

// --- In a browser ---------------------------------------------------------------------------------------------

/** Debian's Chromium, or what FERRULE_BROWSER names; `none` is for systems that have no package of one. */
function findBrowser() {
  if (process.env.FERRULE_BROWSER) return process.env.FERRULE_BROWSER;
  for (const folder of process.env.PATH.split(path.delimiter)) {
    const file = path.join(folder, 'chromium');
    if (fs.existsSync(file)) return file;
  }
  throw new Error('Chromium is not installed: apt-get install chromium');
}

let browser = null;

async function launch() {
  const { chromium } = require(path.join(package_, 'node_modules', 'playwright-core'));
  browser ??= await chromium.launch({
    executablePath: findBrowser(),
    // The sandbox is for pages of strangers, this one is ours; and for root, as whom tests run in containers, there is none:
    // Chromium does not start then without --no-sandbox.
    chromiumSandbox: process.getuid() !== 0,
    // What comes before a sanitized addon is not for the browser.
    env: { ...process.env, LD_PRELOAD: undefined },
  });
  return browser;
}

after(() => browser?.close());

/** A test with the page open: { page, program, status(text) }, in which nothing may go wrong that a browser reports. */
function inBrowser(name, body) {
  const skip = process.env.FERRULE_BROWSER === 'none' && 'this system has no package of Chromium';
  test(name, { timeout: 120_000, skip }, async (t) => {
    const program = await open((...args) => startProgram(t, args));
    const context = await (await launch()).newContext();
    t.after(() => context.close());
    const page = await context.newPage();
    const problems = [];
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) problems.push(message.text()); });
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.goto(program.address);
    const status = (text) => page.getByRole('status').filter({ hasText: text }).waitFor();
    await body({ page, program, status, problems });
    assert.deepEqual(problems, []);
  });
}

const number = (page) => page.getByLabel('Count the primes below');
const button = (page, name) => page.getByRole('button', { name });
const done = (page) => page.getByRole('progressbar', { name: 'Progress' }).evaluate((bar) => bar.value);
const grown = (page, than) => page.waitForFunction((least) => document.querySelector('progress').value > least, than);

inBrowser('counting, cancelling, and counting again', async ({ page, program, status }) => {
  // The token is not to be seen, nor in the history.
  assert.equal(page.url(), `http://${program.host}/`);
  await number(page).fill(String(ENDLESS));
  await button(page, 'Start').click();
  await status('Counting the primes below 10 000 000 000.');
  assert.equal(await button(page, 'Start').isDisabled(), true);
  await grown(page, 0);
  await grown(page, await done(page));
  await button(page, 'Cancel').click();
  await status('Cancelled.');
  const stopped = await done(page);
  assert.ok(stopped > 0 && stopped < 1);
  assert.equal(await button(page, 'Cancel').isDisabled(), true);
  // The page that is loaded again still knows the token.
  await page.reload();
  await number(page).fill('3 000 000');
  await button(page, 'Start').click();
  await status('There are 216 816 primes below 3 000 000.');
  assert.equal(await done(page), 1);
  assert.equal(await page.locator('#percent').textContent(), '100\u202f%');
  assert.equal(lives(program.child), true);
});

inBrowser('a child that is killed', async ({ page, program, status }) => {
  await number(page).fill(String(ENDLESS));
  await button(page, 'Start').click();
  await grown(page, 0);
  process.kill(program.child, 'SIGKILL');
  await status('The counting process died. A new one begins again.');
  const next = await childOf(program);
  await grown(page, 0);
  await button(page, 'Cancel').click();
  await status('Cancelled.');
  // One that dies while there is nothing to do.
  process.kill(next, 'SIGKILL');
  await number(page).fill('1000');
  await button(page, 'Start').click();
  await status('There are 168 primes below 1 000.');
  const last = await childOf(program);
  // The program ends in the middle of something.
  await number(page).fill(String(ENDLESS));
  await button(page, 'Start').click();
  await grown(page, 0);
  program.run.kill('SIGINT');
  assert.deepEqual(await program.ended, [0, null]);
  assert.equal(lives(last), false);
  await status('It failed: the program is ending.');
});

inBrowser('a program that is killed, and a page without the token', async ({ page, program, status, problems }) => {
  await page.evaluate(() => sessionStorage.clear());
  await number(page).fill('1000');
  await button(page, 'Start').click();
  await status('This page was not opened with the address that the program printed.');
  // A token that comes later will do.
  await page.goto(program.address);
  await number(page).fill(String(ENDLESS));
  await button(page, 'Start').click();
  await grown(page, 0);
  program.run.kill('SIGKILL');
  await status('The program has ended. Start it again, and open the address that it prints.');
  assert.equal(await button(page, 'Start').isEnabled(), true);
  // The browser itself tells of both in its console.
  assert.equal(problems.splice(0).filter((text) => /401|ERR_/.test(text)).length, 2);
});

inBrowser('with the keyboard alone, and what a screen reader is told', async ({ page, status }) => {
  assert.equal(await page.locator('main').ariaSnapshot(), [
    '- main:',
    '  - heading "Counting primes" [level=1]',
    '  - paragraph: The page is served by Node, and the counting is done by Python, in a process of its own.',
    '  - text: Count the primes below',
    '  - textbox "Count the primes below": "100000000"',
    '  - paragraph: A whole number from 2 to 10 000 000 000',
    '  - button "Start"',
    '  - button "Cancel" [disabled]',
    '  - text: Progress 0 %',
    '  - progressbar "Progress"',
    '  - status: Ready.',
  ].join('\n'));
  const focused = () => page.evaluate(() => document.activeElement.id);
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'below');
  for (const wrong of ['', '1', 'many', '2.5', '-7', '10000000001']) {
    await number(page).fill(wrong);
    await page.keyboard.press('Enter');
    await status('Type a whole number from 2 to 10 000 000 000.');
    assert.equal(await number(page).getAttribute('aria-invalid'), 'true');
    assert.equal(await focused(), 'below');
    await page.evaluate(() => { document.getElementById('status').textContent = ''; });
  }
  await number(page).fill(String(ENDLESS));
  await page.keyboard.press('Tab');
  assert.equal(await focused(), 'start');
  await page.keyboard.press('Space');
  await grown(page, 0);
  assert.equal(await number(page).getAttribute('aria-invalid'), 'false');
  // The focus goes along to what can be used.
  assert.equal(await focused(), 'cancel');
  await page.keyboard.press('Enter');
  await status('Cancelled.');
  assert.equal(await focused(), 'start');
  await page.keyboard.press('Enter');
  await status('Counting');
  await page.keyboard.press('Escape');
  await status('Cancelled.');
});

/** The contrast of each text with what is behind it, as WCAG reckons. */
function contrasts() {
  const channels = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const { backgroundColor } = getComputedStyle(element);
    return channels(backgroundColor)[3] === 0 ? behind(element.parentElement) : backgroundColor;
  };
  return Object.fromEntries(['h1', 'label', '.hint', '#below', '#start', '#cancel', '#percent', '#status'].map((name) => {
    const element = document.querySelector(name);
    const [dark, light] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((a, b) => a - b);
    return [name, (light + 0.05) / (dark + 0.05)];
  }));
}

inBrowser('readable in light and in dark, also on a small screen', async ({ page }) => {
  await page.setViewportSize({ width: 320, height: 640 });
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    const [background] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/));
    assert.equal(Number(background) > 128, colorScheme === 'light');
    for (const [name, contrast] of Object.entries(await page.evaluate(contrasts))) {
      assert.ok(contrast >= 4.5, `${name} in ${colorScheme}: ${contrast}`);
    }
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  }
});
