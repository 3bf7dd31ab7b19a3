import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import type { Delivery } from '@pipeline/broker';
import { Quarantine } from './quarantine.ts';

beforeEach(() => void jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] }));
afterEach(() => void jest.useRealTimers());

/** @param verdicts of suspects, by id; the rest may run @param tried those over which a process has died before */
function setUp({
  verdicts = {},
  haveDied = true,
  tried = [],
}: {
  verdicts?: Record<string, 'given up'>;
  haveDied?: boolean;
  tried?: string[];
} = {}) {
  const done: string[] = [];
  const known = new Map<string, Delivery>();
  const quarantine = new Quarantine({
    haveProcessesDied: () => haveDied,
    handle: (_partition, { messageId }, isOnTrial) => done.push(`run ${messageId}${isOnTrial ? ' on trial' : ''}`),
    wasOnTrial: async ({ messageId }) => tried.includes(messageId),
    async judge({ messageId }) {
      done.push(`judge ${messageId}`);
      return verdicts[messageId] ? null : async () => void done.push(`over ${messageId}`);
    },
  });
  /** @param id begins with its user */
  const come = (id: string, deliveryCount = 0, partition = 0) => {
    const delivery = { messageId: id, routingKey: id[0], deliveryCount } as Delivery;
    known.set(id, delivery);
    quarantine.admit(partition, delivery);
  };
  const settle = (id: string) => quarantine.settled(known.get(id) as Delivery);
  const judged = () => new Promise(setImmediate);
  return { done, come, settle, judged, quarantine };
}

test('a suspect is tried alone among suspects; all others are handled meanwhile', async () => {
  const { done, come, settle, judged } = setUp();
  come('a1', 3);
  come('b1', 3);
  come('c1');
  await judged();
  come('d1', 2);
  expect(done.splice(0)).toEqual(['run c1', 'judge a1', 'run a1 on trial', 'run d1']);
  settle('a1');
  await judged();
  expect(done).toEqual(['over a1', 'judge b1', 'run b1 on trial']);
});

test('what comes behind a suspect of the same user waits for it, up to the next suspect', async () => {
  const { done, come, settle, judged, quarantine } = setUp();
  come('a1', 3);
  come('a2');
  come('a3', 4);
  come('a4');
  await judged();
  expect([done.splice(0), quarantine.size()]).toEqual([['judge a1', 'run a1 on trial'], 4]);
  settle('a1');
  await judged();
  expect(done.splice(0)).toEqual(['over a1', 'run a2', 'judge a3', 'run a3 on trial']);
  settle('a3');
  await judged();
  expect([done, quarantine.size()]).toEqual([['over a3', 'run a4'], 0]);
});

test('one that is given up is not run, and lets the next ones through', async () => {
  const { done, come, judged } = setUp({ verdicts: { a1: 'given up' } });
  come('a1', 7);
  come('a2');
  come('b1', 3);
  await judged();
  await judged();
  expect(done).toEqual(['judge a1', 'run a2', 'judge b1', 'run b1 on trial']);
});

test('one over which a process has died before is tried when it has been quiet for a while, and after all others', async () => {
  const { done, come, settle, judged } = setUp({ tried: ['a1'] });
  come('a1', 5);
  come('a2');
  come('b1', 3);
  await judged();
  await judged();
  expect(done.splice(0)).toEqual(['judge b1', 'run b1 on trial']);
  settle('b1');
  await judged();
  expect(done.splice(0)).toEqual(['over b1']);
  await jest.advanceTimersByTimeAsync(1_500);
  come('c1');
  await jest.advanceTimersByTimeAsync(1_500);
  expect(done.splice(0)).toEqual(['run c1']);
  await jest.advanceTimersByTimeAsync(1_000);
  await judged();
  expect(done.splice(0)).toEqual(['judge a1', 'run a1 on trial']);
  settle('a1');
  await judged();
  expect(done).toEqual(['over a1', 'run a2']);
});

test('a count without deaths is no ground for suspicion', () => {
  const { done, come } = setUp({ haveDied: false });
  come('a1', 900);
  expect(done).toEqual(['run a1']);
});

test('a suspect whose partition goes makes way for the others', async () => {
  const { done, come, judged, quarantine } = setUp();
  come('a1', 3, 0);
  come('a2', 0, 0);
  come('b1', 3, 1);
  quarantine.drop(0);
  await judged();
  await judged();
  expect(done.splice(0)).toEqual(['judge b1', 'run b1 on trial']);
  quarantine.drop(1);
  expect([done, quarantine.size()]).toEqual([['over b1'], 0]);
});
