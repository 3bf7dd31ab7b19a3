import { describe, expect, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { conversationAtWork, createConversationWorld, running } from '../../test/conversation-world.ts';
import type { Destination, FailureText } from './conversation-state.ts';

const atInstance = (fields: Partial<NonNullable<Destination['instance']>>): Destination => ({
  isBound: true,
  instance: running.instance && { ...running.instance, ...fields },
});

describe('the end of a turn', () => {
  test('the bridge’s answer is the reply, and the next message runs', () => {
    const world = conversationAtWork();
    world.item('m2');
    world.answer('m1');
    expect(world.texts('m1').at(-1)).toMatchObject({ id: 'm1:answer', textKind: 'answer', content: 'answer to m1' });
    expect(world.said('m2')).toEqual(['courtesy:queued', 'courtesy:thinking']);
    expect(world.callId()).toBe('m2#1');
  });

  test.each<FailureText>(['timeout', 'disconnected', 'aborted', 'shuttingDown', 'failed'])(
    'an answer that means %s ends the turn with its text',
    (failure) => {
      const world = conversationAtWork();
      world.answer('m1', failure);
      expect(world.said('m1')).toEqual(['courtesy:thinking', `answer:${failure}`]);
      expect(world.state).toMatchObject({ turn: null, unanswered: [] });
    },
  );

  test.each<FailureText>(['bridgeRestarting', 'bridgeRefused', 'disconnected', 'failed'])(
    'a call that ends as %s ends the turn with its text',
    (failure) => {
      const world = createConversationWorld();
      world.item('m1');
      world.item('m2');
      world.outcome({ kind: 'ended', text: failure });
      expect(world.said('m1')).toEqual(['courtesy:thinking', `answer:${failure}`]);
      expect(world.state.turn?.msgId).toBe('m2');
    },
  );

  test('the name of the instance stands in the text of a lost connection', () => {
    const world = conversationAtWork();
    world.destination = atInstance({ name: '虾二' });
    world.answer('m1', 'disconnected');
    expect(world.contents('m1')[1]).toBe('🔄 「阿虾」与服务的连接中断了,请等待约30秒后重试。');
  });

  test('an answer counts before the ack of its POST, and that ack says nothing to the next turn', () => {
    const world = createConversationWorld();
    world.item('m1');
    world.item('m2');
    world.answer('m1');
    expect(world.said('m1')).toEqual(['courtesy:thinking', 'answer:answer']);
    const before = world.state;
    world.outcome({ kind: 'acked' }, 'm1#1');
    world.outcome({ kind: 'ended', text: 'failed' }, 'm1#1');
    expect(world.state).toBe(before);
  });

  test('the turn is timed out 180 s after its ack, whatever came before', () => {
    const world = createConversationWorld();
    world.item('m1');
    world.pass(14_000);
    world.ack();
    world.pass(179_999);
    expect(world.state.turn?.msgId).toBe('m1');
    world.pass(1);
    expect(world.said('m1')).toEqual(['courtesy:thinking', 'courtesy:stillThinking', 'answer:timeout']);
    expect(world.state.turn).toBeNull();
  });

  test('a POST that nobody has acked doesn’t time out by itself', () => {
    const world = createConversationWorld();
    world.item('m1');
    world.pass(3_600_000);
    expect(world.state.turn?.phase).toBe('dispatching');
    expect(world.dueAt()).toBeNull();
  });

  test('it is still thinking, once, 25 s after the POST began', () => {
    const world = conversationAtWork();
    world.pass(24_999);
    expect(world.said('m1')).toEqual(['courtesy:thinking']);
    world.pass(1);
    world.wake();
    world.pass(100_000);
    expect(world.said('m1')).toEqual(['courtesy:thinking', 'courtesy:stillThinking']);
  });

  test('a wake before anything is due changes nothing', () => {
    const world = conversationAtWork();
    const before = world.state;
    world.wake();
    expect(world.state).toBe(before);
  });

  test('a wake that comes after the time limit says nothing of thinking', () => {
    const world = conversationAtWork();
    world.pass(3_600_000, false);
    expect(world.said('m1')).toEqual(['courtesy:thinking', 'answer:timeout']);
  });
});

describe('calls that get lost', () => {
  test('a lost call is made again under another name, for the same message', () => {
    const world = createConversationWorld();
    world.item('m1');
    world.lose();
    expect(world.callId()).toBe('m1#2');
    expect(world.state.turn).toMatchObject({ msgId: 'm1', attempt: 2 });
    expect(world.said('m1')).toEqual(['courtesy:thinking']);
  });

  test('a failure of the earlier call says nothing about the later one, an ack of either does', () => {
    const world = createConversationWorld();
    world.item('m1');
    world.lose();
    world.outcome({ kind: 'ended', text: 'failed' }, 'm1#1');
    expect(world.callId()).toBe('m1#2');
    world.outcome({ kind: 'acked' }, 'm1#1');
    expect(world.state.turn?.phase).toBe('waiting');
    world.outcome({ kind: 'ended', text: 'failed' }, 'm1#2');
    expect(world.state.turn?.phase).toBe('waiting');
  });

  test('a call that was acked can’t be lost any more', () => {
    const world = conversationAtWork();
    const before = world.state;
    world.lose('m1#1');
    expect(world.state).toBe(before);
  });

  test('the outcome of a message whose name begins alike is not taken for this one’s', () => {
    const world = createConversationWorld();
    world.item('m1');
    world.outcome({ kind: 'acked' }, 'm1#1#1');
    world.outcome({ kind: 'acked' }, 'm11#1');
    expect(world.state.turn?.phase).toBe('dispatching');
  });
});

describe('answers after the end', () => {
  test('a first answer after the time-out is sent late, once', () => {
    const world = conversationAtWork();
    world.pass(180_000);
    world.answer('m1');
    world.answer('m1');
    expect(world.texts('m1').at(-1)).toMatchObject({
      id: 'm1:late',
      textKind: 'answer',
      content: render('lateReply', { content: 'answer to m1' }),
    });
    expect(world.said('m1').filter((said) => said === 'answer:late')).toHaveLength(1);
  });

  test('a first answer after a failed call is sent late, while the next turn runs on', () => {
    const world = createConversationWorld();
    world.item('m1');
    world.item('m2');
    world.outcome({ kind: 'ended', text: 'failed' });
    world.answer('m1');
    expect(world.said('m1')).toEqual(['courtesy:thinking', 'answer:failed', 'answer:late']);
    expect(world.callId()).toBe('m2#1');
  });

  test('a late failure is not sent, and neither is what follows it', () => {
    const world = conversationAtWork();
    world.pass(180_000);
    world.answer('m1', 'failed');
    world.answer('m1');
    expect(world.said('m1').at(-1)).toBe('answer:timeout');
    expect(world.state.unanswered).toEqual([]);
  });

  test('an answer of more than a day after the end is not sent', () => {
    const world = conversationAtWork();
    world.pass(180_000);
    world.pass(24 * 3_600_000 + 1);
    world.answer('m1');
    expect(world.said('m1').at(-1)).toBe('answer:timeout');
  });

  test('an answer to a turn that was answered changes nothing', () => {
    const world = conversationAtWork();
    world.answer('m1');
    const before = world.state;
    expect(world.answer('m1')).toEqual([]);
    expect(world.state).toBe(before);
  });

  test('an answer to a message of which nobody knows changes nothing', () => {
    const world = conversationAtWork();
    const before = world.state;
    expect(world.answer('m0')).toEqual([]);
    expect(world.state).toBe(before);
  });
});
