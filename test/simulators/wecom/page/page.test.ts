import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startWecomSimulator, type WecomSimulator } from '../start-wecom-simulator.ts';
import { createWecomApi } from '../wecom-api.ts';
import { applyEvent, type ChatModel, chatKey, closeChat, createModel, loadSnapshot, openChat } from './chat-model.js';
import { describeBody, duration, splitFences } from './message-text.js';

describe("the page's texts", () => {
  it('part plain text from fenced code and lose nothing', () => {
    expect(splitFences('看:\n```ts\nconst a = 1;\n\nb();\n```\n完了')).toEqual([
      { kind: 'text', text: '看:', language: '' },
      { kind: 'code', text: 'const a = 1;\n\nb();', language: 'ts' },
      { kind: 'text', text: '完了', language: '' },
    ]);
    expect(splitFences('```\n没有结尾')).toEqual([{ kind: 'code', text: '没有结尾', language: '' }]);
    expect(splitFences('一行里的 ```不是``` 代码块')).toHaveLength(1);
    expect(splitFences('')).toEqual([]);
  });

  it('name what is not text and tell durations', () => {
    expect(describeBody('voice', { media_id: 'x' })).toEqual({ kind: 'other', text: '[语音]' });
    expect(describeBody('schedule', undefined)).toEqual({ kind: 'other', text: '[schedule]' });
    const menu = { head_content: '选一个', list: [{ type: 'click', click: { id: '1', content: '甲' } }] };
    expect(describeBody('msgmenu', menu).text).toBe('选一个\n• 甲');
    expect([duration(184), duration(12_340), duration(200_000)]).toEqual(['0.18 秒', '12.3 秒', '3 分 20 秒']);
  });
});

describe("the page's model", () => {
  const ids = { openKfId: 'wk-demo', externalUserId: 'wm-a' };
  const KEY = chatKey(ids);
  let simulator: WecomSimulator;
  beforeEach(async () => {
    simulator = await startWecomSimulator();
  });
  afterEach(() => simulator.close());

  /** What the page would have been told by now. */
  async function eventsFrom(after: number): Promise<unknown[]> {
    const reader = new AbortController();
    const response = await fetch(`${simulator.url}/control/events?after=${after}`, { signal: reader.signal });
    simulator.control.setNickname('end', 'of stream');
    simulator.control.sendMessage({ raw: { msgtype: 'end-of-stream' } });
    let text = '';
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      if (text.includes('end-of-stream')) break;
    }
    reader.abort();
    return [...text.matchAll(/^data: (.*)$/gm)].map(([, json = '']) => JSON.parse(json));
  }

  async function snapshot(): Promise<{ lastEventSeq: number }> {
    return (await (await fetch(`${simulator.url}/control/chat`)).json()) as { lastEventSeq: number };
  }

  async function converse(): Promise<void> {
    const api = createWecomApi(simulator);
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: '第一句' });
    await api.sync();
    await api.sendText('wm-a', '龙'.repeat(700), 'm1');
    for (let n = 2; n <= 7; n += 1) await api.sendText('wm-a', `${n}`, `m${n}`);
    simulator.control.failSend({ msgid: 'm2', failType: 5 });
  }

  function expectConversation(model: ChatModel): void {
    const chat = model.chats.get(KEY);
    expect(chat).toMatchObject({ remaining: 0, allowance: 5 });
    expect(chat?.entries.map((entry) => entry.from)).toEqual(['user', 'kf', 'kf', 'kf', 'kf', 'kf', 'refused']);
    expect(chat?.entries[0]).toMatchObject({ text: '第一句', pulledAt: expect.any(Number) });
    expect(chat?.entries[1]).toMatchObject({ truncated: true, originalBytes: 2100, failType: null });
    expect(chat?.entries[2]).toMatchObject({ text: '2', failType: 5 });
    expect(chat?.entries[6]).toMatchObject({ errcode: 95001, count: 2 });
    expect(model.totals).toEqual({ messages: 1, pulled: 1, sent: 5, refused: 2 });
  }

  it('is the same from events as from a snapshot, and takes no event twice', async () => {
    const live = createModel();
    openChat(live, { ...ids, nickname: '小明' });
    const { lastEventSeq } = await snapshot();
    await converse();
    const events = await eventsFrom(lastEventSeq);
    for (const event of events) applyEvent(live, event);
    expectConversation(live);
    const entries = live.chats.get(KEY)?.entries.length;
    for (const event of events) applyEvent(live, event);
    expect(live.chats.get(KEY)?.entries).toHaveLength(entries ?? 0);

    const loaded = createModel();
    loadSnapshot(loaded, await snapshot());
    expectConversation(loaded);
  });

  it('keeps those who write without a phone in a list, and closed phones too', () => {
    const model = createModel();
    const customer = { ...ids, nickname: '小明', remaining: 5, allowance: 5, windowEndsAt: null, session: 0 };
    const item = { msgid: 'x', msgtype: 'text', text: { content: 'hi' } };
    const event = { type: 'customerMessage', at: 1, item, customer, openKfId: 'wk-demo' };
    expect(applyEvent(model, event)).toEqual([]);
    expect([...model.others.keys()]).toEqual([KEY]);
    openChat(model, { ...ids, nickname: '小明' });
    expect(model.others.size).toBe(0);
    expect(applyEvent(model, { ...event, item: { ...item, msgid: 'y' } })).toEqual([KEY]);
    closeChat(model, KEY);
    expect([...model.others.keys()]).toEqual([KEY]);
    expect(model.byMsgid.size).toBe(0);
  });
});
