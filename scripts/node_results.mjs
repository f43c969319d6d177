// A reporter for node:test: writes each result down at once, so that a crash leaves the results before it.

import path from 'node:path';

function describe(error) {
  if (!error) return '';
  const cause = error.cause ?? error;
  return String(cause?.stack ?? cause?.message ?? cause);
}

// Node reports a file as a test of its own as well, in some versions always, in others when it failed.
function isFile(data) {
  return data.nesting === 0 && path.extname(data.name) !== '' && (!data.file || path.resolve(data.name) === data.file);
}

export default async function* results(source) {
  const inner = new Map();
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue;
    if (data.details?.type === 'suite' && type === 'test:pass') continue;
    const file = data.file ?? '';
    const name = `${path.relative(process.cwd(), file)}: ${data.name}`;
    const seen = inner.get(file) ?? { count: 0, failed: 0 };
    inner.set(file, seen);
    const failed = type === 'test:fail' && data.todo === undefined;
    // A parent fails because of what is inside of it: that was counted already.
    const because = data.details?.error?.failureType;
    if (failed && because === 'subtestsFailed' && seen.failed > 0) continue;
    if (isFile(data) && (failed ? seen.failed > 0 : seen.count > 0)) continue;
    let result = failed ? 'failed' : 'passed';
    let detail = failed ? describe(data.details?.error) : '';
    if (!failed && (data.skip !== undefined || data.todo !== undefined)) {
      result = 'skipped';
      detail = String(data.skip ?? data.todo);
    }
    seen.count += 1;
    if (failed) seen.failed += 1;
    yield `${JSON.stringify({ event: 'start', name })}\n`;
    yield `${JSON.stringify({ event: 'end', name, result, detail })}\n`;
  }
}
