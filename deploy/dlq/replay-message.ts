// A dead letter ─▶ the message that repeats it, under ids that nobody has seen.
import {
  BINDER_QUEUE,
  bindingMatched,
  bridgeAnswered,
  callSettled,
  customerItem,
  exchanges,
  itemSettled,
  type MessageKind,
  msgSendFail,
  type OutgoingMessage,
  settlementAsked,
  text,
} from '@pipeline/contracts';
import { PermanentError } from '@pipeline/runtime';
import { type DeadLetter, replayId } from '@pipeline/store';
import type { z } from 'zod';

type Kind = MessageKind<string, z.ZodType<Record<string, unknown>>>;

const readBy: Record<string, { exchange: string; kinds: Kind[] }> = {
  router: { exchange: exchanges.routerMailboxes, kinds: [customerItem, itemSettled, bridgeAnswered, callSettled] },
  sender: {
    exchange: exchanges.senderMailboxes,
    kinds: [customerItem, text, msgSendFail, settlementAsked, callSettled],
  },
  binder: { exchange: exchanges.binder, kinds: [bindingMatched] },
};

/** What is recognised by an id in its body must have a new one there as well. */
const NEW_ID_IN_BODY: Record<string, string> = {
  [customerItem.type]: 'msgId',
  [bindingMatched.type]: 'msgId',
  [text.type]: 'textId',
};

export const notReplayable = (why: string) => new PermanentError('not-replayable', `can't be replayed: ${why}`);

/**
 * Where a letter's next replay goes, and what. Its number is that of `letter.replays`.
 * @param now epoch ms, database clock
 * @throws PermanentError `not-replayable`
 */
export function replayMessage(
  letter: DeadLetter,
  now: number,
): { exchange: string; routingKey: string; message: OutgoingMessage } {
  const { service, origin, replays } = letter;
  const reader = readBy[service];
  const kind = reader?.kinds.find(({ type }) => type === origin.type);
  if (!reader || !kind) throw notReplayable(`the ${service} takes no message of type ${JSON.stringify(origin.type)}`);
  const routingKey = service === 'binder' ? BINDER_QUEUE : origin.userKey;
  if (!routingKey) throw notReplayable('it says nothing of its user');
  const parsed = kind.schema.safeParse(parseBody(letter));
  if (!parsed.success)
    throw notReplayable(`${parsed.error.issues[0]?.path.join('.') || 'its body'} doesn't keep to the contract`);
  const body = parsed.data;
  const idField = NEW_ID_IN_BODY[kind.type];
  if (idField) body[idField] = replayId(String(body[idField]), replays);
  // Courtesy is dropped when it has grown old; it was asked for just now.
  if (kind.type === text.type) body.decidedAt = Math.round(now);
  const messageId = replayId(origin.messageId, replays);
  const message = { type: kind.type, messageId, correlationId: origin.correlationId, body };
  return { exchange: reader.exchange, routingKey, message };
}

/** @throws PermanentError `not-replayable` */
export function parseBody({ body }: DeadLetter): unknown {
  try {
    return JSON.parse(body ?? '');
  } catch {
    throw notReplayable('its body is unreadable');
  }
}
