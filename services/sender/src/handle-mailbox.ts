// The sender's mailbox: pure decisions of `ledger`, connected to broker, database and WeCom.
import { decodeBody, type Publisher } from '@pipeline/broker';
import {
  callSettled,
  customerItem,
  exchanges,
  itemSettled,
  msgSendFail,
  parseUserKey,
  settlementAsked,
  text,
  wake,
} from '@pipeline/contracts';
import type { Behaviour, Edges } from '@pipeline/mailbox';
import { errorCode, InvalidMessageError, type Logger, type Metrics } from '@pipeline/runtime';
import { replayNumber, type Store } from '@pipeline/store';
import { type ErrcodeClass, isWecomError, type WecomClient } from '@pipeline/wecom';
import { sentContent } from './ledger/affordable.ts';
import { callOf, createDueAt, createLedgerReducer } from './ledger/ledger.ts';
import {
  emptyLedger,
  type LedgerSettings,
  type LedgerTypes,
  type SendCall,
  type SendOutcome,
} from './ledger/ledger-state.ts';
import type { AccountGates } from './pacing/account-gates.ts';
import type { SendConcurrency } from './pacing/send-concurrency.ts';

export function ledgerBehaviour(settings: LedgerSettings): Behaviour<LedgerTypes> {
  return {
    initialState: emptyLedger,
    reduce: createLedgerReducer(settings),
    dueAt: createDueAt(settings),
    callOf,
    deduplication(event) {
      if (event.type === 'customer.item') return { id: event.item.msgId, time: event.item.sendTime };
      if (event.type !== 'text') return null;
      const { textId: id, decidedAt } = event.text;
      // A replay whose fate nobody knew goes out again with another time; 0: it may always be a repeat.
      return { id, time: replayNumber(id) > 0 ? 0 : decidedAt };
    },
    // What was sent once is refused the second time (95033).
    isPatient: (event) =>
      event.type === 'customer.item' || (event.type === 'call.settled' && event.outcome.kind === 'sent'),
    wake: () => ({ type: 'wake', id: 'timer' }),
    callLost: (callId) => ({ type: 'call.lost', id: `${callId}:lost`, callId }),
  };
}

export function ledgerEdges(deps: {
  store: Store;
  publisher: Publisher;
  wecom: Pick<WecomClient, 'sendText'>;
  gates: AccountGates;
  concurrency: SendConcurrency;
  logger: Logger;
  metrics: Metrics;
}): Edges<LedgerTypes> {
  const { store, publisher, wecom, gates, concurrency, logger, metrics } = deps;
  const sends = metrics.counter('sender_sends_total', 'send_msg calls', ['outcome'] as const);
  const sendSeconds = metrics.seconds('sender_send_seconds', 'Duration of send_msg');
  const decisions = metrics.counter('sender_texts_total', 'What became of texts, by kind', ['event'] as const);

  /** @returns null if its bytes are gone: it has waited for longer than they are kept */
  const contentOf = async (userKey: string, { attempt, content }: SendCall): Promise<string | null> => {
    if (content !== null) return content;
    const stored = await store.deliveries.find(userKey, attempt.textId);
    const part = stored?.parts[attempt.part];
    return part ? sentContent(part.content, attempt.withMore) : null;
  };

  const send = async (userKey: string, call: SendCall): Promise<SendOutcome> => {
    const user = parseUserKey(userKey);
    const waitMs = gates.enter(user.openKfId);
    if (waitMs > 0) return { kind: 'unanswered', isUnanswered: false, code: 'account-paused', retryAfterMs: waitMs };
    try {
      const content = await contentOf(userKey, call);
      if (content === null) return { kind: 'missing' };
      await concurrency.run(() => wecom.sendText({ ...user, msgid: call.attempt.msgid, content }));
      gates.opened(user.openKfId);
      return { kind: 'sent' };
    } catch (error) {
      if (!isWecomError(error))
        return { kind: 'unanswered', isUnanswered: false, code: errorCode(error), retryAfterMs: null };
      const { errcode, class: kind, isUnanswered, retryAfterMs } = error;
      gates.refused(user.openKfId, error);
      if (errcode === null) return { kind: 'unanswered', isUnanswered, code: error.code, retryAfterMs };
      return { kind: 'refused', errcode, class: refusalClass(kind), retryAfterMs };
    }
  };

  return {
    decode({ type, messageId: id, content }) {
      switch (type) {
        case customerItem.type:
          return { type, id, item: decodeBody(customerItem, content) };
        case text.type:
          return { type, id, text: decodeBody(text, content) };
        case msgSendFail.type:
          return { type, id, failure: decodeBody(msgSendFail, content) };
        case settlementAsked.type:
          return { type, id, ...decodeBody(settlementAsked, content) };
        case callSettled.type: {
          const { callId, outcome } = decodeBody(callSettled, content);
          return { type, id, callId, outcome: outcome as unknown as SendOutcome };
        }
        case wake.type:
          return { type, id };
        default:
          throw new InvalidMessageError('message-unknown', `the sender has no use for ${type || 'an untyped message'}`);
      }
    },

    async lookUp(userKey, lookup) {
      if (lookup.kind === 'stored-text') {
        const { textId } = lookup;
        return {
          type: 'stored-text.found',
          id: 'lookup',
          textId,
          stored: await store.deliveries.find(userKey, textId),
        };
      }
      const { failure } = lookup;
      const stored = await store.deliveries.findByMsgid(userKey, failure.failMsgid);
      return { type: 'failed-part.found', id: 'lookup', failure, stored };
    },

    async runEffect(userKey, effect) {
      const { id: messageId, msgId } = effect;
      if (effect.kind === 'settled') {
        const body = { msgId, consumed: effect.consumed };
        const message = { type: itemSettled.type, messageId, correlationId: msgId, body };
        await publisher.publish(exchanges.routerMailboxes, userKey, message);
        return;
      }
      const { textId, textKind: kind, next, parts, reason, code } = effect;
      const stored = await store.deliveries.find(userKey, textId);
      const left = stored && { content: stored.source, parts: stored.parts.slice(next, parts) };
      await store.deadLetters.keep({
        service: 'sender',
        reason,
        code,
        attempts: 1,
        origin: { type: text.type, messageId, correlationId: msgId, userKey, exchange: exchanges.senderMailboxes },
        // As a text that a replay can send: the exact bytes of what is left, for `deliveries` forgets them.
        body: left && JSON.stringify({ textId: messageId, msgId, kind, decidedAt: Math.round(store.now()), ...left }),
      });
      logger.error({ userKey, messageId, errorCode: effect.code }, 'text.dead-lettered');
    },

    async call(userKey, call) {
      const startedAt = performance.now();
      const outcome = await send(userKey, call);
      const { textId, part, generation, tries, msgid } = call.attempt;
      const durationMs = Math.round(performance.now() - startedAt);
      const label = outcome.kind === 'refused' ? `refused-${outcome.errcode}` : outcome.kind;
      sends.inc({ outcome: label });
      sendSeconds.observe(durationMs / 1000);
      logger[outcome.kind === 'sent' ? 'info' : 'warn'](
        { userKey, textId, part, generation, tries, msgid, outcome: label, durationMs },
        'text.sent',
      );
      return { type: 'call.settled', id: `${call.id}:settled`, callId: call.id, outcome };
    },

    async forwardOutcome(userKey, event) {
      if (event.type !== 'call.settled') return;
      const { id: messageId, callId, outcome } = event;
      const message = { type: callSettled.type, messageId, correlationId: callId, body: { callId, outcome } };
      await publisher.publish(exchanges.senderMailboxes, userKey, message);
    },

    counted(names) {
      for (const event of names) decisions.inc({ event });
    },

    async parked(userKey, event) {
      // A continuation word that we can't judge is an ordinary message: the conversation waits for our word.
      if (event.type !== 'customer.item' || event.item.decidedBy !== 'sender') return;
      const { msgId } = event.item;
      const body = { msgId, consumed: false };
      const message = { type: itemSettled.type, messageId: `${msgId}:settled`, correlationId: msgId, body };
      await publisher.publish(exchanges.routerMailboxes, userKey, message);
    },
  };
}

/** The client has renewed the token and tried again before it lets a token error through: then the setting is wrong. */
function refusalClass(kind: ErrcodeClass): 'retryable' | 'waiting' | 'configuration' | 'permanent' {
  return kind === 'token' ? 'retryable' : kind;
}
