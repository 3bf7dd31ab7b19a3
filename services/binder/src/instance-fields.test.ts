import { describe, expect, test } from '@jest/globals';
import { HttpError, parseNetworks } from '@pipeline/runtime';
import { instanceRules } from './instance-fields.ts';

const instance = { id: 'i1', name: '小虾', status: 'running', serverHost: '10.1.2.3', hostPort: 80 };

describe('with BRIDGE_ALLOWED_NETWORKS', () => {
  const rules = instanceRules(parseNetworks('10.0.0.0/8'));

  test('addresses must lie in them; names are judged at each call', () => {
    expect(rules.readNew(instance)).toMatchObject({ _id: 'i1', serverHost: '10.1.2.3' });
    expect(rules.readNew({ ...instance, serverHost: 'bridge.example.com' })).toMatchObject({
      serverHost: 'bridge.example.com',
    });
    for (const serverHost of ['127.0.0.1', '0x7f.1', '[::1]'])
      expect(() => rules.readNew({ ...instance, serverHost })).toThrow(
        'serverHost: must not be outside BRIDGE_ALLOWED_NETWORKS',
      );
  });
});

describe('a body', () => {
  const rules = instanceRules(parseNetworks(''));

  test('with several faults is refused with all of them', () => {
    const read = () => rules.readNew({ ...instance, name: '', hostPort: 'x' });
    expect(read).toThrow(HttpError);
    expect(read).toThrow(/name: .*; hostPort: /);
  });

  test('that changes one field leaves the others out', () => {
    const current = { name: 'a', status: 'running', serverHost: '10.0.0.1', hostPort: 80 };
    expect(rules.readChanges({ name: 'b' }, current)).toEqual({ name: 'b' });
    expect(rules.readChanges({ serverHost: '', hostPort: null }, current)).toEqual({ serverHost: '', hostPort: 0 });
    expect(() => rules.readChanges({ hostPort: 0 }, current)).toThrow('hostPort:');
  });

  test('may hold names of 100 characters, however many bytes those are', () => {
    expect(rules.readNew({ ...instance, name: '🦞'.repeat(100) }).name).toHaveLength(200);
    expect(() => rules.readNew({ ...instance, name: '🦞'.repeat(101) })).toThrow('name:');
    expect(() => rules.readNew({ ...instance, name: '\ud800' })).toThrow('name:');
  });
});
