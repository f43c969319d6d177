// A page in the browser whose work is done by a child in Python: main.mjs [--port N] [--python PROGRAM]
// It prints the address to open.
// @ts-check
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Guard, HEADERS } from './guard.mjs';
import { Sidecar } from './sidecar.mjs';

const USAGE = 'usage: main.mjs [--port N] [--python PROGRAM]';
/** What is asked for is short. */
const LONGEST_REQUEST = 1000;
const MOST_JOBS = 4;
const LARGEST_NUMBER = 10_000_000_000;

/** The files of the page: nothing else can be had. @type {Record<string, [name: string, type: string]>} */
const FILES = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/page.css': ['page.css', 'text/css; charset=utf-8'],
  '/page.js': ['page.js', 'text/javascript; charset=utf-8'],
  '/icon.svg': ['icon.svg', 'image/svg+xml'],
};

function readArguments() {
  try {
    const { values } = parseArgs({ options: { port: { type: 'string', default: '0' }, python: { type: 'string', default: 'python3' } } });
    const { port = '', python = '' } = values;
    if (!/^[0-9]{1,5}$/.test(port) || Number(port) > 65_535) throw new Error('--port: a number up to 65535, or 0 for any that is free');
    return { port: Number(port), python };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n${USAGE}`);
    return process.exit(2);
  }
}

/** @param {http.ServerResponse} response @param {number} status @param {Record<string, string>} [headers] */
function refuse(response, status, headers = {}) {
  response.writeHead(status, { ...HEADERS, ...headers, 'Content-Type': 'text/plain' }).end(`${http.STATUS_CODES[status]}\n`);
}

/** @param {http.IncomingMessage} request @param {http.ServerResponse} response */
async function serveFile({ method, url = '' }, response) {
  if (method !== 'GET' && method !== 'HEAD') return refuse(response, 405, { Allow: 'GET, HEAD' });
  const file = Object.hasOwn(FILES, url) ? FILES[url] : undefined;
  if (file === undefined) return refuse(response, 404);
  const content = await readFile(new URL(`page/${file[0]}`, import.meta.url));
  return response.writeHead(200, { ...HEADERS, 'Content-Type': file[1] }).end(method === 'HEAD' ? undefined : content);
}

/** What is asked for, or the status of HTTP that says what is wrong with it. @param {http.IncomingMessage} request */
async function readOrder(request) {
  if (request.headers['content-type'] !== 'application/json') return { status: 415 };
  const length = request.headers['content-length'];
  if (length === undefined) return { status: 411 };
  if (Number(length) > LONGEST_REQUEST) return { status: 413 };
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk;
  try {
    const { below } = JSON.parse(text);
    if (Number.isInteger(below) && below >= 2 && below <= LARGEST_NUMBER) return { below };
  } catch {
    // No JSON, or null.
  }
  return { status: 400 };
}

/**
 * Answer with a line for each thing that happens. Who goes away before the end cancels.
 *
 * @param {http.IncomingMessage} request
 * @param {http.ServerResponse} response
 */
async function serveCount(request, response) {
  if (request.method !== 'POST') return refuse(response, 405, { Allow: 'POST' });
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const { status = 400, below } = await readOrder(request);
  if (below === undefined) return refuse(response, status, { Connection: 'close' });
  if (sidecar.busy >= MOST_JOBS) return refuse(response, 503);
  response.writeHead(200, { ...HEADERS, 'Content-Type': 'application/x-ndjson' });
  const tell = (/** @type {object} */ what) => response.write(`${JSON.stringify(what)}\n`);
  try {
    const count = await sidecar.count(below, {
      signal: gone.signal,
      onprogress: (done) => {
        // A page that is slow misses some.
        if (!response.writableNeedDrain) tell({ done });
      },
      onrestart: () => tell({ restarted: true }),
    });
    tell({ count });
  } catch (error) {
    if (gone.signal.aborted) return response;
    console.error(error instanceof Error ? error.message : error);
    tell({ failed: error instanceof Error ? error.message : String(error) });
  }
  return response.end();
}

const given = readArguments();
const program = fileURLToPath(new URL('primes.py', import.meta.url));
const sidecar = new Sidecar(given.python, [program], (pid) => console.log(`child ${pid} started`));
/** @type {Guard} */
let guard;

const server = http.createServer({ requestTimeout: 10_000 }, (request, response) => {
  const status = guard.refuses(request);
  const serve = request.url === '/count' ? serveCount : serveFile;
  if (status !== undefined) {
    refuse(response, status, { Connection: 'close' });
  } else {
    serve(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  }
});

/** @param {number} status */
async function end(status) {
  process.exitCode = status;
  server.close();
  await sidecar.close().catch((error) => console.error(error.message));
  server.closeAllConnections();
}

server.on('error', (error) => {
  console.error(`main.mjs: ${error.message}`);
  end(1);
});
server.listen(given.port, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  guard = new Guard(`127.0.0.1:${port}`);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => end(0));
  sidecar.start().then(
    () => console.log(`open http://127.0.0.1:${port}/#${guard.token}`),
    (error) => {
      console.error(`main.mjs: ${error.message}`);
      end(1);
    },
  );
});
