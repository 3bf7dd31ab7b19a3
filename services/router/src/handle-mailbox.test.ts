// What the router's mailbox publishes. Of a turn that ended while its answer was still being stored: always the task's first.
import { expect, test } from '@jest/globals';
import type { Publisher } from '@pipeline/broker';
import type { CustomerItem } from '@pipeline/contracts';
import { createLogger, createMetrics } from '@pipeline/runtime';
import type { Answer, Store, StoredAnswer } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { itemOf } from '../test/conversation-world.ts';
import { createArrivedAnswers } from './arrived-answers.ts';
import type { BridgeClient } from './bridge-client.ts';
import { conversationEdges } from './handle-mailbox.ts';

const userKey = 'wk1:wm1';
const id = 'wk1:wm1:m1';
const answer = (content: string, ok = true): Answer => ({ ok, content, isTimeout: false });

/** A router that publishes, on tasks which have these answers. */
function routerOn(stored: Record<string, Answer>) {
  const published: unknown[] = [];
  const arrivedAnswers = createArrivedAnswers();
  const storeAnswer = async ({ id, answer }: { id: string; answer: Answer }): Promise<StoredAnswer> => {
    if (stored[id]) return 'duplicate';
    stored[id] = answer;
    return 'accepted';
  };
  const find = async (id: string) => ({ instanceName: '阿虾', answer: stored[id] });
  const edges = conversationEdges({
    store: { tasks: { storeAnswer, find }, now: () => 1 } as unknown as Store,
    publisher: {
      publish: async (exchange: string, _key: string, { type, body }: { type: string; body: { content: string } }) => {
        published.push(type === 'text' ? body.content : { exchange, type, body });
      },
    } as unknown as Publisher,
    bridge: {} as BridgeClient,
    arrivedAnswers,
    takenAnswers: { note: () => {}, close: async () => {} },
    publicUrl: '',
    signingKeys: [],
    taskTimeoutS: 1,
    logger: createLogger({ service: 'router', level: 'silent' }),
    metrics: createMetrics('router'),
  });
  const say = (arriving: Answer, key = 'answer', content: string | null = null) =>
    edges.runEffect(userKey, {
      id: `m1:${key}`,
      kind: 'text',
      textKind: 'answer',
      msgId: 'm1',
      content,
      decidedAt: 1,
      arriving,
    });
  return { edges, arrivedAnswers, published, say, stored };
}

test('waits until it is stored', async () => {
  const { arrivedAnswers, published, say } = routerOn({});
  let end: (status: StoredAnswer) => void = () => {};
  const stored = new Promise<StoredAnswer>((resolve) => {
    end = resolve;
  });
  arrivedAnswers.put(id, { answer: answer('mine'), stored });
  const saying = say(answer('mine'));
  await new Promise((resolve) => setImmediate(resolve));
  expect(published).toEqual([]);
  end('accepted');
  await saying;
  expect(published).toEqual(['mine']);
});

test('is one that was there before, of which the conversation had not heard', async () => {
  const { arrivedAnswers, published, say } = routerOn({ [id]: answer('theirs') });
  arrivedAnswers.put(id, { answer: answer('mine'), stored: Promise.resolve('duplicate') });
  await say(answer('mine'));
  expect(published).toEqual(['theirs']);
});

test('is that failure in words for the user, if the one before was a failure', async () => {
  const { published, say } = routerOn({ [id]: answer('agent disconnected', false) });
  await say(answer('mine'));
  expect(published).toEqual([render('disconnected', { name: '阿虾' })]);
});

test('is stored by whoever takes the conversation over, if the router died before it was', async () => {
  const { published, say, stored } = routerOn({});
  await say(answer('aborted', false), 'aborted', 'in words');
  expect(stored[id]).toEqual(answer('aborted', false));
  expect(published).toEqual(['in words']);
});

test('is not the one that a later router has at hand, unless that was first', async () => {
  const { arrivedAnswers, published, say } = routerOn({ [id]: answer('theirs') });
  arrivedAnswers.put(id, { answer: answer('theirs'), stored: Promise.resolve('accepted') });
  await say(answer('aborted', false), 'aborted', 'in words');
  expect(published).toEqual(['theirs']);
});

test('is said even if nobody could ask whether it was stored, once it is', async () => {
  const { arrivedAnswers, published, say, stored } = routerOn({});
  arrivedAnswers.put(id, { answer: answer('mine'), stored: Promise.reject(new Error('away')) });
  await say(answer('mine'));
  expect(stored[id]).toEqual(answer('mine'));
  expect(published).toEqual(['mine']);
});

test('tells the sender of a message that is given up, as no text about it will', async () => {
  const { edges, published } = routerOn({});
  const give = (item: CustomerItem) => edges.parked(userKey, { type: 'customer.item', id: item.msgId, item });
  const item = itemOf('m1', 1_000);
  await give(item);
  await give({ ...item, decidedBy: 'sender' }); // of which ingest has told it
  expect(published).toEqual([{ exchange: 'sender.mailboxes', type: 'customer.item', body: item }]);
});
