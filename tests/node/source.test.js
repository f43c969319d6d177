'use strict';

/** Rules about the glue that the compiler does not know. */

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { package_ } = require('./helpers.js');

const folder = path.join(package_, 'src');

/** Name -> text without comments and strings. */
const sources = new Map(
  fs.readdirSync(folder)
    .filter((name) => /\.[ch]$/.test(name))
    .map((name) => [name, strip(fs.readFileSync(path.join(folder, name), 'utf8'))]),
);

function strip(text) {
  return text.replace(/\/\*[^]*?\*\/|"(?:\\.|[^"\\])*"/g, (found) => found.replace(/[^\n]/g, ' '));
}

/** Every place where `pattern` occurs: [name, what is before it in its statement, the match]. */
function occurrences(pattern) {
  const found = [];
  for (const [name, text] of sources) {
    for (const match of text.matchAll(pattern)) {
      const start = Math.max(...[';', '{', '}', '#define'].map((end) => text.lastIndexOf(end, match.index)));
      found.push({ name, before: text.slice(start + 1, match.index).replace(/\s+/g, ' '), call: match[1] ?? match[0] });
    }
  }
  return found;
}

test('no status of Node-API is ignored', () => {
  const calls = occurrences(/\b((?:napi|node_api)_\w+)\(/g);
  assert.ok(calls.length > 50);
  const checked = /FER_NODE_(CALL|TRY|MUST)\(|\bif \(|\bstatus =$|\b\w+ = $|return |\|\| |&& |== napi_ok/;
  // It does not return.
  const loose = calls.filter(({ before, call }) => call !== 'napi_fatal_error' && !checked.test(before));
  assert.deepEqual(loose, []);
});

test('a status that was kept in a variable is looked at', () => {
  for (const [name, text] of sources) {
    for (const [, variable] of text.matchAll(/\bnapi_status (\w+) =/g)) {
      const uses = text.match(new RegExp(`\\b${variable}\\b(?! =[^=])`, 'g')) ?? [];
      assert.ok(uses.length > 0, `${name}: ${variable}`);
    }
  }
});

test('one function calls JavaScript', () => {
  assert.deepEqual(occurrences(/\bnapi_make_callback\b/g).map(({ name }) => name), ['emit.c']);
  assert.deepEqual(occurrences(/\bnapi_call_function\b/g), []);
});

test('nothing is kept in variables of a file', () => {
  for (const [name, text] of sources) {
    const statics = text.match(/^\s*static (?!const\b)[^(){};]*[=;]/gm) ?? [];
    assert.deepEqual(statics, [], name);
    const pointers = (text.match(/^\s*static const [^(){};]*=/gm) ?? []).filter((line) => /\*(?! ?const)/.test(line));
    assert.deepEqual(pointers, [], name);
  }
});

test('what JavaScript passes is never asserted', () => {
  assert.deepEqual(occurrences(/\bassert\(/g), []);
});

test('the files stay short', () => {
  for (const part of ['src', 'lib']) {
    for (const name of fs.readdirSync(path.join(package_, part))) {
      const lines = fs.readFileSync(path.join(package_, part, name), 'utf8').split('\n').length;
      assert.ok(lines < 500, `${name}: ${lines} lines`);
    }
  }
});
