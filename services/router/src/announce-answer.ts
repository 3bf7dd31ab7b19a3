// "An answer stands on a task": told to the conversation that waits for it.
import type { Publisher } from '@pipeline/broker';
import { answerStored, exchanges } from '@pipeline/contracts';
import { errorFields, type Logger } from '@pipeline/runtime';
import type { ConversationEvent } from './conversation-state.ts';

/** Never fails: what it doesn't get through, the sweep says again. */
export type AnnounceAnswer = (userKey: string, msgId: string) => void;

/** The conversation is told directly if this process has it in memory, else through its mailbox. */
export function createAnnounceAnswer(deps: {
  mailbox: { offer(userKey: string, event: ConversationEvent, dropped: () => void): boolean };
  publisher: Publisher;
  logger: Logger;
}): AnnounceAnswer {
  const { mailbox, publisher, logger } = deps;
  return (userKey, msgId) => {
    const { type } = answerStored;
    const messageId = `${msgId}:answer-stored`;
    const publish = () => {
      publisher
        .publish(exchanges.routerMailboxes, userKey, { type, messageId, correlationId: msgId, body: { msgId } })
        .catch((error) => logger.warn({ messageId: msgId, ...errorFields(error) }, 'answer.not-announced'));
    };
    if (!mailbox.offer(userKey, { type, id: messageId, msgId }, publish)) publish();
  };
}
