import { expect, test } from '@jest/globals';
import { RetryableError } from './errors.ts';
import { createLogger } from './logger.ts';

const lines: Record<string, unknown>[] = [];
const logger = createLogger({
  service: 'test',
  level: 'info',
  destination: { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
});
const logged = (fields: object) => {
  logger.info(fields, 'thing.done');
  return lines.at(-1);
};

test('secrets and message texts are cut out, however deep they stand', () => {
  const secrets = { token: 's1', code: 's2', content: 's3', headers: { cookie: 's4' } };
  logged({ ...secrets, request: secrets, list: [{ inner: secrets }], deep: { a: { b: { c: { d: secrets } } } } });
  expect(JSON.stringify(lines.at(-1))).not.toMatch(/s\d/);
  expect(lines.at(-1)).toMatchObject({
    token: '[cut]',
    request: { code: '[cut]' },
    list: [{ inner: { content: '[cut]' } }],
  });
});

test('everything else is shown as it is', () => {
  const fields = { userKey: 'wk:wm', attempt: 2, isLate: false, nothing: null, kinds: { message: 3 }, replicas: ['a'] };
  expect(logged(fields)).toMatchObject({ ...fields, service: 'test', msg: 'thing.done' });
  expect(logged({ err: new RetryableError('store-away', 'gone') })).toMatchObject({
    err: expect.stringContaining('gone'),
  });
});
