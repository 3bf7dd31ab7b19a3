// docs/operations.md says of every error code what it means; this holds the page and the catalogue together.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { errorCodes } from '@pipeline/runtime';
import { ROOT } from './support/service-process.ts';

test('every error code is documented in docs/operations.md, and no other one', () => {
  const page = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const [, afterHeading = ''] = page.split(/^## Error codes$/m);
  const [section = ''] = afterHeading.split(/^##/m);
  const firstCells = section.split('\n').map((line) => (line.startsWith('|') ? (line.split('|')[1] ?? '') : line));
  const documented = firstCells.flatMap((text) =>
    [...text.matchAll(/`([a-z]+(?:-[a-zN]+)*)`/g)].map(([, code]) => code),
  );
  const fields = ['errorCode', 'code', 'error.code', 'fail_type'];
  const families = ['wecom-N', 'fail-type-N'];
  expect([...new Set(documented)].filter((code) => !fields.includes(code ?? '')).sort()).toEqual(
    [...errorCodes, ...families].sort(),
  );
});
