import { describe, expect, test } from '@jest/globals';
import { conversationAtWork, createConversationWorld, running, unbound } from '../../test/conversation-world.ts';

const held = { decidedBy: 'binder', match: 'claimed' } as const;

describe('getting into the line', () => {
  test('the first message starts its turn at once, with nothing said of a line', () => {
    const world = createConversationWorld();
    world.item('m1', { text: '  你好 \n' });
    expect(world.said('m1')).toEqual(['courtesy:thinking']);
    expect(world.state.turn).toMatchObject({ msgId: 'm1', prompt: '你好', phase: 'dispatching', instanceId: 'i-1' });
    expect(world.callId()).toBe('m1#1');
  });

  test('what is not text is refused, and doesn’t wait', () => {
    const world = createConversationWorld();
    world.item('m1', { msgtype: 'image', text: null });
    expect(world.said('m1')).toEqual(['notice:unsupported']);
    expect(world.state).toMatchObject({ turn: null, entries: [], accepted: [] });
  });

  test('a blank message is ignored', () => {
    const world = createConversationWorld();
    world.item('m1', { text: ' \n\t　' });
    expect(world.effects).toEqual([]);
    expect(world.state).toMatchObject({ turn: null, entries: [], accepted: [] });
  });

  test('who has to wait hears how many stand before them', () => {
    const world = conversationAtWork();
    world.item('m2');
    world.item('m3');
    expect(world.contents('m2')).toEqual(['📋 消息已收到,前面还有 1 条在处理,请稍候~']);
    expect(world.contents('m3')).toEqual(['📋 消息已收到,前面还有 2 条在处理,请稍候~']);
  });

  test('the sixth message that would wait or run is refused', () => {
    const world = conversationAtWork();
    for (const msgId of ['m2', 'm3', 'm4', 'm5', 'm6']) world.item(msgId);
    expect(world.said('m5')).toEqual(['courtesy:queued']);
    expect(world.said('m6')).toEqual(['notice:queueFull']);
    expect(world.contents('m6')).toEqual(['消息太多了,请稍后再说~(当前排队已满,最多5条)']);
    world.answer('m1');
    world.item('m7');
    expect(world.said('m7')).toEqual(['courtesy:queued']);
  });

  test('the eleventh message within a minute is refused, before anybody counts the line, and refused ones don’t count', () => {
    const world = createConversationWorld();
    world.destination = unbound;
    for (let i = 1; i <= 10; i++) world.item(`m${i}`);
    world.now += 59_000;
    world.item('m11');
    world.item('m12');
    expect(world.contents('m11')).toEqual(['消息频率过高,请稍后再试(每分钟最多10条)。']);
    expect(world.said('m12')).toEqual(['notice:rateLimited']);
    world.now += 1_000;
    world.item('m13');
    expect(world.said('m13')).toEqual(['answer:unbound']);
  });

  test('messages that the full line refused don’t count for the minute', () => {
    const world = conversationAtWork();
    for (let i = 2; i <= 20; i++) world.item(`m${i}`);
    expect(world.said('m20')).toEqual(['notice:queueFull']);
    expect(world.state.accepted).toHaveLength(5);
  });

  test('a backlog is judged by when its messages were sent', () => {
    const world = createConversationWorld();
    world.destination = unbound;
    const sentAt = Math.floor(world.now / 1000) - 3_600;
    for (let i = 0; i < 30; i++) world.item(`m${i}`, { sendTime: sentAt + i * 6 });
    for (let i = 0; i < 30; i++) expect(world.said(`m${i}`)).toEqual(['answer:unbound']);
  });

  test('a message seen before changes nothing', () => {
    const world = conversationAtWork();
    const before = world.state;
    expect(world.item('m1')).toEqual([]);
    expect(world.state).toBe(before);
  });
});

describe('holds', () => {
  test('what stands before a hold goes on, what follows waits unjudged', () => {
    const world = conversationAtWork();
    world.item('m2');
    world.item('code', held);
    world.item('m3');
    expect(world.said('m3')).toEqual([]);
    world.answer('m1');
    expect(world.state.turn?.msgId).toBe('m2');
    world.answer('m2');
    expect(world.state).toMatchObject({ turn: null, entries: [{ status: 'hold' }, { status: 'undecided' }] });
  });

  test('a consumed item vanishes and counts for no limit', () => {
    const world = conversationAtWork();
    world.item('code', held);
    world.item('m2');
    world.settle('code', true);
    expect(world.contents('m2')).toEqual(['📋 消息已收到,前面还有 1 条在处理,请稍候~']);
    expect(world.said('code')).toEqual([]);
    expect(world.state.accepted).toHaveLength(2);
  });

  test('an item that was no code after all is an ordinary message at its place', () => {
    const world = conversationAtWork();
    world.item('word', { decidedBy: 'sender', text: ' more ' });
    world.item('m2');
    world.settle('word', false);
    expect(world.said('word')).toEqual(['courtesy:queued']);
    expect(world.contents('m2')).toEqual(['📋 消息已收到,前面还有 2 条在处理,请稍候~']);
    world.answer('m1');
    expect(world.state.turn).toMatchObject({ msgId: 'word', prompt: 'more' });
  });

  test('a message sent right after a code goes to the newly bound instance', () => {
    const world = createConversationWorld();
    world.destination = unbound;
    world.item('code', held);
    world.item('m1');
    world.destination = running;
    world.settle('code', true);
    expect(world.state.turn).toMatchObject({ msgId: 'm1', instanceId: 'i-1' });
  });

  test('one settlement of two leaves the other one standing', () => {
    const world = createConversationWorld();
    world.item('a', held);
    world.item('m1');
    world.item('b', held);
    world.item('m2');
    world.settle('b', false);
    expect(world.effects).toEqual([]);
    world.settle('a', true);
    expect(world.state.turn?.msgId).toBe('m1');
    expect(world.said('b')).toEqual(['courtesy:queued']);
  });

  test('a settlement that comes before its item is kept for it', () => {
    const world = createConversationWorld();
    world.settle('a', true);
    world.settle('b', false);
    world.item('a', held);
    world.item('b', held);
    expect(world.said('a')).toEqual([]);
    expect(world.state.turn?.msgId).toBe('b');
    expect(world.state.settlements).toEqual([]);
  });

  test('only the last 16 early settlements are kept; an item whose own was forgotten asks', () => {
    const world = createConversationWorld();
    for (let i = 0; i < 17; i++) world.settle(`c${i}`, true);
    world.item('c0', held);
    expect(world.pass(10_000)).toMatchObject([{ kind: 'ask', msgId: 'c0' }]);
    world.item('c16', held);
    expect(world.state.entries).toHaveLength(1);
  });

  test('at most 20 messages wait behind a hold, the next one is refused', () => {
    const world = createConversationWorld();
    world.item('code', held);
    for (let i = 1; i <= 21; i++) world.item(`m${i}`, { sendTime: Math.floor(world.now / 1000) + i * 10 });
    expect(world.said('m20')).toEqual([]);
    expect(world.said('m21')).toEqual(['notice:queueFull']);
    world.settle('code', true);
    expect(world.said('m1')).toEqual(['courtesy:thinking']);
    expect(world.said('m5')).toEqual(['courtesy:queued']);
    expect(world.said('m6')).toEqual(['notice:queueFull']);
  });

  test('a hold asks again after 10 s, then half as often each time, at most every 5 minutes', () => {
    const world = createConversationWorld();
    world.item('word', { decidedBy: 'sender' });
    const askedAfter: number[] = [];
    const began = world.now;
    while (askedAfter.length < 8) {
      world.now = world.dueAt() ?? Number.NaN;
      expect(world.wake()).toMatchObject([{ kind: 'ask', msgId: 'word', decidedBy: 'sender' }]);
      askedAfter.push((world.now - began) / 1000);
    }
    expect(askedAfter).toEqual([10, 30, 70, 150, 310, 610, 910, 1210]);
    expect(new Set(world.effects.map(({ id }) => id)).size).toBe(8);
  });

  test('a question about a code carries how it matched', () => {
    const world = createConversationWorld();
    world.item('code', { decidedBy: 'binder', match: 'expired' });
    expect(world.pass(10_000)).toMatchObject([{ kind: 'ask', decidedBy: 'binder', match: 'expired' }]);
  });
});
