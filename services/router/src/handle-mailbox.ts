// The router's mailbox: pure decisions of `conversation`, connected to broker, database and bridges.
import { decodeBody, type Publisher } from '@pipeline/broker';
import {
  answerStored,
  BINDER_QUEUE,
  bindingMatched,
  callSettled,
  customerItem,
  exchanges,
  itemSettled,
  parseUserKey,
  settlementAsked,
  text,
  wake,
} from '@pipeline/contracts';
import type { Behaviour, Edges } from '@pipeline/mailbox';
import { InvalidMessageError, type Logger, type Metrics } from '@pipeline/runtime';
import { type Answer, type Store, taskId } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { type ArrivedAnswers, isFirst, isSameAnswer, isTaken } from './arrived-answers.ts';
import { outcomeOf } from './bridge-answer.ts';
import { CALLBACK_PATH } from './bridge-callback.ts';
import type { BridgeClient } from './bridge-client.ts';
import { signCallbackToken } from './callback-token.ts';
import { callOf, createConversationReducer, dueAt } from './conversation.ts';
import {
  type BridgeCall,
  type BridgeOutcome,
  type ConversationEffect,
  type ConversationEvent,
  type ConversationLookup,
  type ConversationSettings,
  type ConversationState,
  type Destination,
  emptyConversation,
} from './conversation-state.ts';
import type { TakenAnswers } from './taken-answers.ts';
import { answerTextId } from './turn-end.ts';

export function conversationBehaviour(
  settings: ConversationSettings,
): Behaviour<ConversationState, ConversationEvent, ConversationEffect, BridgeCall, ConversationLookup> {
  return {
    initialState: emptyConversation,
    reduce: createConversationReducer(settings),
    dueAt,
    callOf,
    deduplication: (event) =>
      event.type === 'customer.item' ? { id: event.item.msgId, time: event.item.sendTime } : null,
    // POSTed again, the task has the same idempotency key.
    canRest: (event) => event.type === 'call.settled' && event.outcome.kind === 'acked',
    wake: () => ({ type: 'wake', id: 'timer' }),
    callLost: (callId) => ({ type: 'call.lost', id: `${callId}:lost`, callId }),
  };
}

export function conversationEdges(deps: {
  store: Store;
  publisher: Publisher;
  bridge: BridgeClient;
  arrivedAnswers: ArrivedAnswers;
  takenAnswers: TakenAnswers;
  publicUrl: string;
  signingKeys: readonly string[];
  taskTimeoutS: number;
  logger: Logger;
  metrics: Metrics;
}): Edges<ConversationEvent, ConversationEffect, BridgeCall, ConversationLookup> {
  const { store, publisher, bridge, arrivedAnswers, takenAnswers, logger, metrics } = deps;
  const calls = metrics.counter('router_bridge_calls_total', 'Tasks POSTed to bridges', ['outcome'] as const);
  const callSeconds = metrics.seconds('router_bridge_ack_seconds', 'From POST to ack');

  const findDestination = async (userKey: string): Promise<Destination> => {
    const binding = await store.bindings.findByUser(userKey);
    if (!binding) return { isBound: false, instance: null };
    if (!binding.instance) return { isBound: true, instance: null };
    const { _id: id, name, status, serverHost, hostPort } = binding.instance;
    if (status === 'running' && serverHost === '') logger.error({ instanceId: id }, 'instance.without-host');
    return { isBound: true, instance: { id, name, status, serverHost, hostPort } };
  };

  /** The first answer to a task. */
  const findAnswer = async (id: string): Promise<Answer | null> => {
    const arrived = arrivedAnswers.get(id);
    if (arrived && (await isFirst(arrived))) return arrived.answer;
    const answer = (await store.tasks.find(id))?.answer ?? null;
    if (answer) arrivedAnswers.put(id, { answer, stored: Promise.resolve('accepted') });
    return answer;
  };

  const contentOf = async (userKey: string, effect: Extract<ConversationEffect, { kind: 'text' }>): Promise<string> => {
    const { msgId, content, arriving, isLate } = effect;
    const id = taskId(userKey, msgId);
    if (arriving) {
      const own = content ?? arriving.content;
      return (await isStoredFirst(id, arriving)) ? own : contentOfFirst(id, own);
    }
    if (content !== null) return content;
    const answer = await findAnswer(id);
    if (!answer) throw new Error(`task ${msgId} has no answer`);
    return isLate ? render('lateReply', { content: answer.content }) : answer.content;
  };

  /** Whether the answer by which a turn has ended is the task's first. Stored now if nobody knows: who was at it may have died. */
  const isStoredFirst = async (id: string, answer: Answer): Promise<boolean> => {
    const arrived = arrivedAnswers.get(id);
    const isKnownFirst = arrived && isSameAnswer(arrived.answer, answer) ? await isFirst(arrived) : null;
    if (isKnownFirst !== null) return isKnownFirst;
    return isTaken(await store.tasks.storeAnswer({ id, answer, now: store.now() }));
  };

  /** What the user is told of the task's first answer. */
  const contentOfFirst = async (id: string, otherwise: string): Promise<string> => {
    const task = await store.tasks.find(id);
    if (!task?.answer) return otherwise;
    const outcome = outcomeOf(task.answer);
    return outcome === 'answered' ? task.answer.content : render(outcome, { name: task.instanceName });
  };

  return {
    decode({ type, messageId: id, content }) {
      switch (type) {
        case customerItem.type:
          return { type, id, item: decodeBody(customerItem, content) };
        case itemSettled.type:
          return { type, id, ...decodeBody(itemSettled, content) };
        case answerStored.type:
          return { type, id, ...decodeBody(answerStored, content) };
        case callSettled.type: {
          const { callId, outcome } = decodeBody(callSettled, content);
          return { type, id, callId, outcome: outcome as unknown as BridgeOutcome };
        }
        case wake.type:
          return { type, id };
        default:
          throw new InvalidMessageError('message-unknown', `the router has no use for ${type || 'an untyped message'}`);
      }
    },

    async lookUp(userKey, lookup) {
      if (lookup.kind === 'destination')
        return { type: 'destination.found', id: 'lookup', destination: await findDestination(userKey) };
      const id = taskId(userKey, lookup.msgId);
      const stored = await findAnswer(id);
      const answer = stored ? outcomeOf(stored) : null;
      return { type: 'answer.found', id: 'lookup', msgId: lookup.msgId, answer };
    },

    async runEffect(userKey, effect) {
      const { id: messageId, msgId } = effect;
      if (effect.kind === 'close-task') {
        const { endedBy, endedAt, isAnswerTaken } = effect;
        const id = taskId(userKey, msgId);
        await store.tasks.close({ id, endedBy, endedAt, isAnswerTaken });
        arrivedAnswers.forget(id);
      } else if (effect.kind === 'text') {
        const content = await contentOf(userKey, effect);
        const { textKind: kind, decidedAt, renewal, expected } = effect;
        const body = { textId: messageId, msgId, kind, decidedAt, content, renewal, expected };
        await publisher.publish(exchanges.senderMailboxes, userKey, {
          type: text.type,
          messageId,
          correlationId: msgId,
          body,
        });
        if (messageId === answerTextId(msgId)) takenAnswers.note(taskId(userKey, msgId));
      } else if (effect.decidedBy === 'binder') {
        const body = { ...parseUserKey(userKey), msgId, match: effect.match };
        const message = { type: bindingMatched.type, messageId, correlationId: msgId, body };
        await publisher.publish(exchanges.binder, BINDER_QUEUE, message);
      } else {
        const message = { type: settlementAsked.type, messageId, correlationId: msgId, body: { msgId } };
        await publisher.publish(exchanges.senderMailboxes, userKey, message);
      }
    },

    async call(userKey, { id, turn }) {
      const { externalUserId } = parseUserKey(userKey);
      const token = signCallbackToken(taskId(userKey, turn.msgId), deps.signingKeys);
      const startedAt = performance.now();
      const { outcome, detail } = await bridge.postTask(turn, {
        prompt: turn.prompt,
        sessionKey: `agent:main:wx-${externalUserId}`,
        idempotencyKey: turn.msgId,
        timeoutSeconds: deps.taskTimeoutS,
        callbackUrl: `${deps.publicUrl}${CALLBACK_PATH}?token=${token}`,
        callbackData: { externalUserId, msgId: turn.msgId },
      });
      const durationMs = Math.round(performance.now() - startedAt);
      calls.inc({ outcome: outcome.kind === 'acked' ? 'acked' : outcome.text });
      callSeconds.observe(durationMs / 1000);
      const { instanceId, msgId: messageId, attempt } = turn;
      logger[outcome.kind === 'acked' ? 'info' : 'warn'](
        { userKey, instanceId, messageId, attempt, durationMs, outcome: outcome.kind, detail },
        'bridge.called',
      );
      return { type: 'call.settled', id: `${id}:settled`, callId: id, outcome };
    },

    async forwardOutcome(userKey, event) {
      if (event.type !== 'call.settled') return;
      const { id: messageId, callId, outcome } = event;
      const message = { type: callSettled.type, messageId, correlationId: callId, body: { callId, outcome } };
      await publisher.publish(exchanges.routerMailboxes, userKey, message);
    },

    async parked(userKey, event) {
      // No text of ours will tell the sender of it.
      if (event.type !== 'customer.item' || event.item.decidedBy !== null) return;
      const { item } = event;
      const message = { type: customerItem.type, messageId: item.msgId, correlationId: item.msgId, body: item };
      await publisher.publish(exchanges.senderMailboxes, userKey, message);
    },
  };
}
