// Progress on standard error: a bar on a terminal, elsewhere a line for every tenth.
// @ts-check
const terminal = process.stderr;

export class Progress {
  #total;
  #done = 0;

  /** @param {number} total */
  constructor(total) {
    this.#total = total;
    this.#draw();
  }

  advance() {
    const tenth = this.#tenth();
    this.#done += 1;
    if (terminal.isTTY) this.#draw();
    else if (this.#tenth() > tenth) terminal.write(`${this.#done} of ${this.#total}\n`);
  }

  /** Print a line, above the bar. @param {string} text */
  say(text) {
    terminal.write(terminal.isTTY ? `\r\x1b[K${text}\n` : `${text}\n`);
    this.#draw();
  }

  /** Leave the line of the bar. */
  end() {
    if (terminal.isTTY) terminal.write('\n');
  }

  #tenth() {
    return Math.floor((10 * this.#done) / this.#total);
  }

  #draw() {
    if (!terminal.isTTY) return;
    const count = ` ${this.#done} of ${this.#total}`;
    const width = Math.max(0, Math.min(40, (terminal.columns || 80) - count.length - 3));
    const full = Math.round((width * this.#done) / this.#total);
    terminal.write(`\r[${'#'.repeat(full)}${' '.repeat(width - full)}]${count}`);
  }
}
