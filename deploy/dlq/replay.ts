// An operator ─▶ one dead letter out again: claimed, published through the mailbox, then marked.
import type { Publisher } from '@pipeline/broker';
import { parseUserKey } from '@pipeline/contracts';
import { PermanentError } from '@pipeline/runtime';
import { type DeadLetter, replayId, type Store } from '@pipeline/store';
import { parseSyncItem } from '@pipeline/wecom';
import { createClaimCode } from '../../services/ingest/src/claim-code.ts';
import { classifyItem } from '../../services/ingest/src/classify-item.ts';
import { createPublishItem } from '../../services/ingest/src/publish-item.ts';
import { notReplayable, parseBody, replayMessage } from './replay-message.ts';

/**
 * Replays a letter once, however many operators ask for it at the same time.
 * @throws PermanentError `letter-missing`, `not-replayable`; RetryableError of store or publisher: the letter waits
 */
export type Replay = (id: string) => Promise<void>;

export function createReplay({ store, publisher }: { store: Store; publisher: Publisher }): Replay {
  const publishItem = createPublishItem({ publisher, claimCode: createClaimCode(store) });

  /** As ingest would, but for its age: somebody wants it answered. @returns how to publish it */
  const prepareItem = (letter: DeadLetter) => {
    const { openKfId } = parseUserKey(letter.origin.userKey ?? '');
    const nowS = Math.floor(store.now() / 1000);
    const item = classifyItem(parseSyncItem(parseBody(letter), { openKfId, nowS }), 0);
    if (item.kind !== 'message' && item.kind !== 'send_fail')
      throw notReplayable(`it is an item that ingest only records (${item.kind})`);
    const receivedAt = letter.firstAt.getTime();
    return (replays: number) => publishItem(openKfId, { ...item, msgId: replayId(item.msgId, replays) }, receivedAt);
  };

  const prepare = (letter: DeadLetter) => {
    if (letter.service === 'ingest') return prepareItem(letter);
    replayMessage(letter, store.now());
    return (replays: number) => {
      const { exchange, routingKey, message } = replayMessage({ ...letter, replays }, store.now());
      return publisher.publish(exchange, routingKey, message);
    };
  };

  return async (id) => {
    const found = await store.deadLetters.find(id);
    if (!found) throw new PermanentError('letter-missing', 'there is no such dead letter');
    const publish = prepare(found);
    const claimed = await store.deadLetters.beginReplay(id, store.now());
    if (!claimed) {
      const { state } = (await store.deadLetters.find(id)) ?? found;
      const why =
        state === 'replaying'
          ? 'somebody else is at it; if they died over it, try again in a minute'
          : `it is ${state}`;
      throw notReplayable(why);
    }
    try {
      await publish(claimed.replays);
    } catch (error) {
      await store.deadLetters.endReplay(claimed, false);
      throw error;
    }
    await store.deadLetters.endReplay(claimed, true);
  };
}
