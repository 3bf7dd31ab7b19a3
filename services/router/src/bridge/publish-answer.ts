// A bridge's answer ─▶ its user's mailbox, where the conversation decides what becomes of it.
import type { Publisher } from '@pipeline/broker';
import { type BridgeAnswered, bridgeAnswered, exchanges } from '@pipeline/contracts';
import { backoffMs, errorCode, errorFields, type Logger, RetryableError, sleep } from '@pipeline/runtime';

/** A bridge is kept waiting for so long while the broker is away; then it has to try again. */
const PUBLISH_WITHIN_MS = 10_000;
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 1_000;
/** Tasks whose answer was published are remembered, so that no bridge can flood a mailbox with repeats. */
const KEPT = 10_000;

/**
 * Resolves once the broker has the answer; of one task only the first is published.
 * @returns whether this one repeats an earlier one
 * @throws RetryableError `broker-away`: not within 10 s
 */
export type PublishAnswer = (
  userKey: string,
  taskId: string,
  answer: BridgeAnswered,
) => Promise<{ isRepeated: boolean }>;

/** @param deps.publisher throws while there is none yet */
export function createPublishAnswer(deps: {
  publisher(): Publisher;
  logger: Logger;
  withinMs?: number;
}): PublishAnswer {
  const { withinMs = PUBLISH_WITHIN_MS } = deps;
  /** By task, oldest first. */
  const published = new Map<string, Promise<void>>();

  const publish = async (userKey: string, answer: BridgeAnswered) => {
    const messageId = `${answer.msgId}:answered`;
    const message = { type: bridgeAnswered.type, messageId, correlationId: answer.msgId, body: answer };
    const giveUpAt = performance.now() + withinMs;
    for (let attempt = 0; performance.now() < giveUpAt; attempt++) {
      try {
        return await deps.publisher().publish(exchanges.routerMailboxes, userKey, message);
      } catch (error) {
        if (errorCode(error) === 'publish-unroutable') throw error;
        deps.logger.warn({ userKey, messageId, ...errorFields(error) }, 'answer.not-published');
      }
      await sleep(backoffMs(attempt, RETRY_FIRST_MS, RETRY_MAX_MS));
    }
    throw new RetryableError('broker-away', 'the answer could not be published');
  };

  return async (userKey, taskId, answer) => {
    const known = published.get(taskId);
    if (known) {
      await known;
      return { isRepeated: true };
    }
    const mine = publish(userKey, answer);
    published.set(taskId, mine);
    const [oldest] = published.keys();
    if (published.size > KEPT && oldest !== undefined) published.delete(oldest);
    try {
      await mine;
      return { isRepeated: false };
    } catch (error) {
      published.delete(taskId);
      throw error;
    }
  };
}
