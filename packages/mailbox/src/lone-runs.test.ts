import { describe, expect, test } from '@jest/globals';
import type { Delivery } from '@pipeline/broker';
import { createLoneRuns } from './lone-runs.ts';

/** @param verdicts of suspects, by id; the rest may run */
function setUp(verdicts: Record<string, 'given up'> = {}) {
  const done: string[] = [];
  const known = new Map<string, Delivery>();
  const runs = createLoneRuns({
    handle: (_partition, { messageId }, isAlone) => done.push(`run ${messageId}${isAlone ? ' alone' : ''}`),
    waiting: () => done.push('waiting'),
    async judge({ messageId }) {
      done.push(`judge ${messageId}`);
      return verdicts[messageId] ? null : () => done.push(`over ${messageId}`);
    },
  });
  const come = (messageId: string, deliveryCount = 0, partition = 0) => {
    const delivery = { messageId, deliveryCount } as Delivery;
    known.set(messageId, delivery);
    runs.admit(partition, delivery);
  };
  const settle = (messageId: string) => runs.settled(known.get(messageId) as Delivery);
  const judged = () => new Promise(setImmediate);
  return { done, come, settle, judged, drop: runs.drop, isWaiting: runs.isWaiting };
}

describe('a suspect', () => {
  test('is run once all before it are done, and what comes after it waits', async () => {
    const { done, come, settle, judged, isWaiting } = setUp();
    for (const id of ['a', 'b']) come(id);
    come('suspect', 3);
    come('c', 0, 1);
    settle('b');
    expect(done.splice(0)).toEqual(['run a', 'run b', 'waiting']);
    expect(isWaiting()).toBe(true);
    settle('a');
    expect(isWaiting()).toBe(false);
    await judged();
    expect(done.splice(0)).toEqual(['judge suspect', 'run suspect alone']);
    settle('suspect');
    expect(done).toEqual(['over suspect', 'run c']);
  });

  test('that is given up is not run, and lets the next ones through', async () => {
    const { done, come, settle, judged } = setUp({ deadly: 'given up' });
    come('deadly', 7);
    come('suspect', 3);
    come('c');
    await judged();
    await judged();
    expect(done.splice(0)).toEqual(['judge deadly', 'judge suspect', 'run suspect alone']);
    settle('suspect');
    expect(done).toEqual(['over suspect', 'run c']);
  });

  test('whose partition goes while it is judged or run makes way for the others', async () => {
    const { done, come, judged, drop } = setUp();
    for (const round of [1, 2]) {
      come('suspect', 3, 0);
      come('same', 0, 0);
      come(`other ${round}`, 0, 1);
      if (round === 2) await judged();
      drop(0);
      await judged();
      drop(1);
    }
    expect(done).toEqual([
      'judge suspect',
      'run other 1',
      'over suspect',
      'judge suspect',
      'run suspect alone',
      'over suspect',
      'run other 2',
    ]);
  });

  test('waits for no delivery whose partition has gone', async () => {
    const { done, come, judged, drop } = setUp();
    come('a', 0, 1);
    come('suspect', 3, 0);
    drop(1);
    await judged();
    expect(done).toEqual(['run a', 'waiting', 'judge suspect', 'run suspect alone']);
  });
});
