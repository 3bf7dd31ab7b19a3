// The router's mailbox: pure decisions of `conversation`, connected to broker, database and bridges.
import { decodeBody, type Publisher } from '@pipeline/broker';
import {
  BINDER_QUEUE,
  bindingMatched,
  bridgeAnswered,
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
import type { Store } from '@pipeline/store';
import { CALLBACK_PATH } from './bridge/bridge-callback.ts';
import type { BridgeClient } from './bridge/bridge-client.ts';
import { signCallbackToken, taskId } from './bridge/callback-token.ts';
import { contentOfOldEffect } from './bridge/old-answers.ts';
import { callOf, createConversationReducer, dueAt } from './conversation/conversation.ts';
import {
  type BridgeOutcome,
  type ConversationSettings,
  type ConversationTypes,
  type Destination,
  emptyConversation,
} from './conversation/conversation-state.ts';

export function conversationBehaviour(settings: ConversationSettings): Behaviour<ConversationTypes> {
  return {
    initialState: emptyConversation,
    reduce: createConversationReducer(settings),
    dueAt,
    callOf,
    deduplication: (event) =>
      event.type === 'customer.item' ? { id: event.item.msgId, time: event.item.sendTime } : null,
    // POSTed again, the task has the same idempotency key.
    isPatient: (event) => event.type === 'call.settled' && event.outcome.kind === 'acked',
    wake: () => ({ type: 'wake', id: 'timer' }),
    callLost: (callId) => ({ type: 'call.lost', id: `${callId}:lost`, callId }),
  };
}

export function conversationEdges(deps: {
  store: Store;
  publisher: Publisher;
  bridge: BridgeClient;
  publicUrl: string;
  signingKeys: readonly string[];
  taskTimeoutS: number;
  logger: Logger;
  metrics: Metrics;
}): Edges<ConversationTypes> {
  const { store, publisher, bridge, logger, metrics } = deps;
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

  return {
    decode({ type, messageId: id, content }) {
      switch (type) {
        case customerItem.type:
          return { type, id, item: decodeBody(customerItem, content) };
        case itemSettled.type:
          return { type, id, ...decodeBody(itemSettled, content) };
        case bridgeAnswered.type:
          return { type, id, answer: decodeBody(bridgeAnswered, content) };
        case callSettled.type: {
          const { callId, outcome } = decodeBody(callSettled, content);
          return { type, id, callId, outcome: outcome as unknown as BridgeOutcome };
        }
        case wake.type:
          return { type, id };
        // An earlier version said so of an answer that it had stored: see `takeOldAnswers`.
        case 'answer.stored':
          return { type: 'wake', id };
        default:
          throw new InvalidMessageError('message-unknown', `the router has no use for ${type || 'an untyped message'}`);
      }
    },

    async lookUp(userKey) {
      return { type: 'destination.found', id: 'lookup', destination: await findDestination(userKey) };
    },

    async runEffect(userKey, effect) {
      const { id: messageId, msgId } = effect;
      // Of an earlier version: a note on the task.
      if ((effect.kind as string) === 'close-task') return;
      if (effect.kind === 'text') {
        const { textKind: kind, decidedAt, renewal, expected } = effect;
        const content = effect.content ?? (await contentOfOldEffect(store, userKey, effect));
        const body = { textId: messageId, msgId, kind, decidedAt, content, renewal, expected };
        await publisher.publish(exchanges.senderMailboxes, userKey, {
          type: text.type,
          messageId,
          correlationId: msgId,
          body,
        });
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
