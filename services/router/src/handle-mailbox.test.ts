// What the router's mailbox publishes, also of what an earlier version left.
import { expect, test } from '@jest/globals';
import type { Publisher } from '@pipeline/broker';
import type { CustomerItem } from '@pipeline/contracts';
import { createLogger, createMetrics } from '@pipeline/runtime';
import type { Store } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { itemOf } from '../test/conversation-world.ts';
import type { BridgeClient } from './bridge/bridge-client.ts';
import type { ConversationEffect } from './conversation/conversation-state.ts';
import { conversationEdges } from './handle-mailbox.ts';

const userKey = 'wk1:wm1';

function createEdges() {
  const published: unknown[] = [];
  const edges = conversationEdges({
    store: {
      oldAnswers: { find: async (id: string) => ({ answer: { content: `answer to ${id}` } }) },
    } as unknown as Store,
    publisher: {
      publish: async (exchange: string, _key: string, { type, body }: { type: string; body: { content: string } }) => {
        published.push(type === 'text' ? body.content : { exchange, type, body });
      },
    } as unknown as Publisher,
    bridge: {} as BridgeClient,
    publicUrl: '',
    signingKeys: [],
    taskTimeoutS: 1,
    logger: createLogger({ service: 'router', level: 'silent' }),
    metrics: createMetrics('router'),
  });
  return { edges, published };
}

test('tells the sender of a message that is given up, as no text about it will', async () => {
  const { edges, published } = createEdges();
  const give = (item: CustomerItem) => edges.parked(userKey, { type: 'customer.item', id: item.msgId, item });
  const item = itemOf('m1', 1_000);
  await give(item);
  await give({ ...item, decidedBy: 'sender' }); // of which ingest has told it
  expect(published).toEqual([{ exchange: 'sender.mailboxes', type: 'customer.item', body: item }]);
});

test('understands the effects of an earlier version, whose answers stood on their tasks', async () => {
  const { edges, published } = createEdges();
  const text = { kind: 'text', textKind: 'answer', msgId: 'm1', decidedAt: 1 } as const;
  await edges.runEffect(userKey, { ...text, id: 'm1:answer', content: null });
  await edges.runEffect(userKey, { ...text, id: 'm1:late', content: null, isLate: true } as ConversationEffect);
  await edges.runEffect(userKey, { id: 'm1:closed-answer', kind: 'close-task', msgId: 'm1' } as never);
  const content = 'answer to wk1:wm1:m1';
  expect(published).toEqual([content, render('lateReply', { content })]);
});
