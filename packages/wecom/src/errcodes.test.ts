import { expect, test } from '@jest/globals';
import { describeErrcode, type ErrcodeClass, errcodes } from './errcodes.ts';

const expected: Record<Exclude<ErrcodeClass, 'permanent'>, number[]> = {
  token: [40014, 42001],
  retryable: [-1, 45009, 45033, 45035],
  waiting: [95001, 95002, 95013, 95018],
  configuration: [40001, 40013, 48002, 48007, 50003, 60020, 60030, 95004, 95011, 95012, 95017, 95023],
};

test('the codes that are not permanent are the agreed ones', () => {
  for (const [kind, codes] of Object.entries(expected)) {
    const inTable = [...errcodes].filter(([, entry]) => entry.class === kind).map(([code]) => code);
    expect(inTable.sort((a, b) => a - b)).toEqual(codes.sort((a, b) => a - b));
  }
});

test('an unknown code is permanent and can be looked up', () => {
  expect(describeErrcode(95099)).toMatchObject({ class: 'permanent', hint: expect.stringContaining('e=95099') });
});

test('every code says what it means and what to do', () => {
  for (const { meaning, hint } of errcodes.values()) {
    expect(meaning).not.toBe('');
    expect(hint).toMatch(/\.$/);
  }
});
