import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { checkShape, describeFaults } from './check-shape.ts';

const schema = z.object({
  name: z.string().min(1),
  kind: z.enum(['a', 'b']),
  isOpen: z.boolean(),
  port: z.int().min(1).max(9),
  inner: z.object({ id: z.string() }),
  list: z.array(z.number()),
});
const good = { name: 'n', kind: 'a', isOpen: true, port: 1, inner: { id: 'i' }, list: [1] };
const said = (changes: object) => describeFaults(checkShape(schema, { ...good, ...changes }).faults ?? []);

test('a value of the right shape comes back without what its schema does not name', () => {
  expect(checkShape(schema, { ...good, more: 1 })).toEqual({ value: good });
});

test.each([
  [{ name: undefined }, 'name: is required'],
  [{ name: 7 }, 'name: must be a text'],
  [{ name: '' }, 'name: must not be empty'],
  [{ kind: 'c' }, 'kind: must be one of a, b'],
  [{ kind: undefined }, 'kind: is required'],
  [{ isOpen: 'yes' }, 'isOpen: must be true or false'],
  [{ port: '1' }, 'port: must be a number'],
  [{ port: 1.5 }, 'port: must be a whole number'],
  [{ port: 10 }, 'port: must be 9 or less'],
  [{ port: 0 }, 'port: must be 1 or more'],
  [{ inner: {} }, 'inner.id: is required'],
  [{ inner: null }, 'inner: must be a JSON object'],
  [{ list: ['x'] }, 'list.0: must be a number'],
  [{ list: {}, name: null }, 'name: must be a text; list: must be a list'],
])('%j: %s', (changes, words) => {
  expect(said(changes)).toBe(words);
});

test('a fault of the whole is one of the body', () => {
  expect(describeFaults(checkShape(schema, []).faults ?? [])).toBe('body: must be a JSON object');
});
