// "A bridge has answered": told to the conversation that waits for it.
import type { Publisher } from '@pipeline/broker';
import { answerStored, exchanges } from '@pipeline/contracts';
import { errorFields, type Logger } from '@pipeline/runtime';
import { type ArrivedAnswer, isFirst } from './arrived-answers.ts';
import type { ConversationEvent } from './conversation-state.ts';

/** What of an answer goes into the conversation's document; longer ones stay on their task. */
const MAX_INLINE_CHARS = 2_000;

export interface AnnounceAnswer {
  /**
   * An answer stands on its task. Never fails: what it doesn't get through, the sweep says again.
   * @returns whether its conversation is in this process
   */
  stored(userKey: string, msgId: string): boolean;
  /**
   * An answer is on its way to its task, and short: the conversation may save what follows from it at the same time.
   * @returns false if it must wait until the answer is stored
   */
  arriving(userKey: string, msgId: string, arrived: ArrivedAnswer): boolean;
}

/** The conversation is told directly if this process has it in memory, else through its mailbox. */
export function createAnnounceAnswer(deps: {
  mailbox: { offer(userKey: string, event: ConversationEvent, dropped: () => void): boolean };
  publisher: Publisher;
  logger: Logger;
}): AnnounceAnswer {
  const { mailbox, publisher, logger } = deps;
  const { type } = answerStored;
  const idOf = (msgId: string) => `${msgId}:answer-stored`;

  const publish = (userKey: string, msgId: string) => {
    publisher
      .publish(exchanges.routerMailboxes, userKey, {
        type,
        messageId: idOf(msgId),
        correlationId: msgId,
        body: { msgId },
      })
      .catch((error) => logger.warn({ messageId: msgId, ...errorFields(error) }, 'answer.not-announced'));
  };

  return {
    stored(userKey, msgId) {
      const tell = () => publish(userKey, msgId);
      const isHere = mailbox.offer(userKey, { type, id: idOf(msgId), msgId }, tell);
      if (!isHere) tell();
      return isHere;
    },
    arriving(userKey, msgId, arrived) {
      const { answer } = arrived;
      if (answer.content.length > MAX_INLINE_CHARS) return false;
      return mailbox.offer(userKey, { type, id: idOf(msgId), msgId, arriving: answer }, () => {
        void isFirst(arrived).then((counts) => counts && publish(userKey, msgId));
      });
    },
  };
}
