// docs/operations.md documents every stable error code; this holds the page and the code together.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ROOT } from './support/service-process.ts';

const PATTERNS = [
  /new (?:Retryable|Permanent|InvalidMessage)Error\(\s*'([a-z0-9-]+)'/g,
  /super\('([a-z0-9-]+)'/g,
  /new HttpError\(\s*\d+,\s*'([a-z0-9-]+)'/g,
  /noAnswer\([^,]+,\s*'([a-z0-9-]+)'/g,
  /\bcode: '([a-z]+-[a-z-]+)'/g,
  /deadLetter\([^,]+,\s*'([a-z0-9-]+)'/g,
];

function sources(): string[] {
  return ['services', 'packages'].flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => /^[^/]+\/src\/.*\.ts$/.test(path) && !path.endsWith('.test.ts'))
      .map((path) => readFileSync(join(ROOT, folder, path), 'utf8')),
  );
}

test('every error code in the code is documented in docs/operations.md', () => {
  const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const codes = new Set(
    sources().flatMap((source) =>
      PATTERNS.flatMap((pattern) => [...source.matchAll(pattern)].map((match) => match[1])),
    ),
  );
  expect(codes.size).toBeGreaterThan(20);
  // WeCom's own numbers are documented as `wecom-N`.
  const documented = (code = '') => page.includes(`\`${code.replace(/^wecom-\d+$/, 'wecom-N')}\``);
  expect([...codes].filter((code) => !documented(code)).sort()).toEqual([]);
});
