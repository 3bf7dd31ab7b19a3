import { expect, test } from '@jest/globals';
import { createLogger, RetryableError } from '@pipeline/runtime';
import { createPublishAnswer } from './publish-answer.ts';

const logger = createLogger({ service: 'router', level: 'silent' });
const answer = (msgId: string, content = 'x') => ({ msgId, ok: true, content, isTimeout: false });

/** A broker that refuses the first publishes, and all while it is away. */
function createRouter({ refusals = 0, withinMs = 5_000 } = {}) {
  const published: unknown[] = [];
  let left = refusals;
  const publishAnswer = createPublishAnswer({
    publisher: () => ({
      async publish(_exchange, _key, { body }) {
        if (left-- > 0) throw new RetryableError('broker-away', 'not connected');
        published.push(body);
      },
    }),
    logger,
    withinMs,
  });
  return {
    published,
    publish: (msgId: string, content?: string) => publishAnswer('wk1:u', `wk1:u:${msgId}`, answer(msgId, content)),
  };
}

test('an answer is published once, however often and with whatever else it is repeated', async () => {
  const { published, publish } = createRouter({ refusals: 1 });
  const calls = Array.from({ length: 1_000 }, (_, index) => publish('m1', `the ${index}th`));
  const outcomes = await Promise.all(calls);
  expect(outcomes.filter(({ isRepeated }) => !isRepeated)).toHaveLength(1);
  expect(published).toEqual([answer('m1', 'the 0th')]);
  await publish('m2');
  expect(published).toHaveLength(2);
});

test('while the broker is away it waits, and then gives up, to be asked again', async () => {
  const { published, publish } = createRouter({ refusals: 4, withinMs: 300 });
  await expect(publish('m1')).rejects.toMatchObject({ code: 'broker-away' });
  while (published.length === 0) await publish('m1').catch(() => {});
  expect(published).toEqual([answer('m1')]);
});
