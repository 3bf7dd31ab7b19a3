import { expect, test } from '@jest/globals';
import { formatCode, outcomeText } from './binding-rules.ts';

test('a code is upper-case hex with leading zeros', () => {
  expect(formatCode(Uint8Array.of(0, 10, 255))).toBe('000AFF');
});

test('each outcome has its text; a binding names the instance as it was then', () => {
  expect(outcomeText('bound', '小{name}虾')).toEqual({
    key: 'bound',
    content: expect.stringContaining('「小{name}虾」'),
  });
  expect(outcomeText('instanceMissing', undefined)).toEqual({
    key: 'instanceMissing',
    content: '绑定失败:智能体实例不存在,请重新操作。',
  });
  expect(outcomeText('bindFailed', undefined)).toEqual({ key: 'bindFailed', content: '绑定时出现错误,请稍后重试。' });
});
