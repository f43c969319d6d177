// Who may talk to the program: the page that it serves, in a browser of somebody who knows the token. Nobody else.
// @ts-check
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** What a browser is told about all that comes from here. */
export const HEADERS = {
  // Only files of this program, and nothing in the page that came in some other way.
  'Content-Security-Policy': "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'no-store',
};

export class Guard {
  /** What whoever asks for something has to know. It stands behind the # of the address, which browsers keep to themselves. */
  token = randomBytes(32).toString('base64url');
  #host;

  /** @param {string} host name and port, as the page's address has them */
  constructor(host) {
    this.#host = host;
  }

  /**
   * Why a request is refused, as a status of HTTP; undefined when it is not.
   *
   * @param {import('node:http').IncomingMessage} request
   */
  refuses({ method, headers }) {
    // A name of somebody else's that leads to this machine makes a page of theirs look like ours (DNS rebinding).
    if (headers.host !== this.#host) return 403;
    // Pages of others may link to nothing here. What is typed by the user comes from none.
    const site = headers['sec-fetch-site'];
    if (site !== undefined && site !== 'same-origin' && site !== 'none') return 403;
    if (method === 'GET' || method === 'HEAD') return undefined;
    // What does something: only for the page, which knows the token.
    if (headers.origin !== `http://${this.#host}`) return 403;
    return this.#knows(headers.authorization) ? undefined : 401;
  }

  /** Takes as long for a good guess as for a bad one. @param {string | undefined} authorization */
  #knows(authorization = '') {
    return timingSafeEqual(digest(authorization), digest(`Bearer ${this.token}`));
  }
}

/** @param {string} text */
function digest(text) {
  return createHash('sha256').update(text).digest();
}
