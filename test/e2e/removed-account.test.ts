// What is left over from a KF account that is gone must not hold up another one.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Broker, createBroker } from '@pipeline/broker';
import { exchanges, text } from '@pipeline/contracts';
import { createLogger } from '@pipeline/runtime';
import { createDialogue, type Dialogue } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

const USERS_OF_GONE = 5;

let pipeline: Pipeline;
let users: Dialogue;
let broker: Broker;
beforeAll(async () => {
  pipeline = await startPipeline({ partitions: 4 });
  users = createDialogue(pipeline);
  const logger = createLogger({ service: 'test', level: 'silent' });
  broker = await createBroker({ url: pipeline.servers.amqpUrl, name: 'test', logger });
  await eventually('the test is connected', () => broker.problem() === null);
});
afterAll(async () => {
  await broker?.close();
  await pipeline?.stop();
});

/** A text that the router had decided before the account was removed. */
async function leaveOver(user: string): Promise<void> {
  const msgId = `left-over-${user}`;
  const now = Date.now();
  const renewal = { sendTime: Math.floor(now / 1_000), receivedAt: now };
  const body = { textId: `${msgId}:answer`, msgId, kind: 'answer' as const, decidedAt: now, content: '迟了', renewal };
  const message = { type: text.type, messageId: body.textId, correlationId: msgId, body };
  await broker.publish(exchanges.senderMailboxes, `wk-gone:${user}`, message);
}

test('texts of a removed account wait and are told of; another account is served all the same', async () => {
  await users.bind('wm-here');
  const readiness = async () => {
    const response = await fetch(`${pipeline.services.sender.url}/readyz`);
    return (await response.json()) as { ready: boolean; problems: Record<string, string> };
  };
  await Promise.all(Array.from({ length: USERS_OF_GONE }, (_, index) => leaveOver(`wm-${index}`)));
  const problem = await eventually('the sender says so', async () => (await readiness()).problems.wecom ?? null);
  expect(problem).toMatch(/^wk-gone: kf\/send_msg: 95004, /);
  for (const question of ['一', '二', '三']) {
    users.say('wm-here', question);
    await pipeline.hears('wm-here', new RegExp(`「${question}」`), 5_000);
  }
});
