import { describe, expect, test } from '@jest/globals';
import type { BindingCode } from '@pipeline/store';
import { codeState } from './claim-code.ts';

const HOUR_MS = 3_600_000;
const code = (state: BindingCode['state']): BindingCode => ({
  _id: 'ABC123',
  instanceId: 'i1',
  state,
  expiresAt: 1_000,
  forgetAt: new Date(0),
});

describe('a code', () => {
  test('is live until its time is over', () => {
    expect(codeState(code('live'), 999)).toBe('live');
    expect(codeState(code('live'), 1_000)).toBe('expired');
  });

  test.each(['live', 'outrun'] as const)('that ran out (%s) is remembered for 24 h', (state) => {
    expect(codeState(code(state), 1_000 + 24 * HOUR_MS - 1)).toBe('expired');
    expect(codeState(code(state), 1_000 + 24 * HOUR_MS)).toBeNull();
  });

  test.each(['voided', 'claimed'] as const)('that is %s is no code any more', (state) => {
    expect(codeState(code(state), 0)).toBeNull();
    expect(codeState(code(state), 2_000)).toBeNull();
  });
});
