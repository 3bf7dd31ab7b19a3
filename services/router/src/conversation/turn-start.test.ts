import { describe, expect, test } from '@jest/globals';
import { conversationAtWork, createConversationWorld, running, unbound } from '../../test/conversation-world.ts';
import type { Destination } from './conversation-state.ts';

const atInstance = (fields: Partial<NonNullable<Destination['instance']>>): Destination => ({
  isBound: true,
  instance: running.instance && { ...running.instance, ...fields },
});

describe('starting a turn', () => {
  test.each<[string, Destination, string]>([
    ['nobody is bound', unbound, 'unbound'],
    ['the instance is gone', { isBound: true, instance: null }, 'unbound'],
    ['the instance is stopped', atInstance({ status: 'stopped' }), 'stopped'],
    ['the instance is starting', atInstance({ status: 'starting' }), 'starting'],
    ['the instance has an error', atInstance({ status: 'error' }), 'error'],
    ['the instance has a status we don’t know', atInstance({ status: 'paused' }), 'otherStatus'],
    ['the instance has no host', atInstance({ serverHost: '' }), 'noHost'],
    ['the instance is stopped and has no host', atInstance({ status: 'stopped', serverHost: '' }), 'stopped'],
  ])('when %s, the reply says so and ends the turn', (_when, destination, key) => {
    const world = createConversationWorld();
    world.destination = destination;
    world.item('m1');
    expect(world.said('m1')).toEqual([`answer:${key}`]);
    expect(world.state).toMatchObject({ turn: null, entries: [] });
    expect(world.callId()).toBeNull();
  });

  test('binding and instance are read when the turn comes, not when the message does', () => {
    const world = conversationAtWork();
    world.item('m2');
    world.item('m3');
    world.destination = atInstance({ id: 'i-2', name: '虾二' });
    world.answer('m1');
    expect(world.state.turn).toMatchObject({ msgId: 'm2', instanceId: 'i-2', instanceName: '虾二' });
    world.destination = atInstance({ status: 'stopped' });
    world.answer('m2');
    expect(world.contents('m3')[1]).toBe('💤 小龙虾「阿虾」正在休息,请在 IT0 App 中点击启动后再来找我~');
  });

  test('turns that can’t start end one after another, in order', () => {
    const world = conversationAtWork();
    for (const msgId of ['m2', 'm3', 'm4']) world.item(msgId);
    world.destination = unbound;
    const caused = world.answer('m1').map(({ id }) => id);
    expect(caused).toEqual(['m1:answer', 'm2:unbound', 'm3:unbound', 'm4:unbound']);
  });
});

test('while the user’s texts can’t go out, what waits goes on waiting', () => {
  const world = conversationAtWork();
  world.item('m2');
  world.isHeldUp = true;
  world.answer('m1');
  expect(world.state).toMatchObject({ turn: null, entries: [{ msgId: 'm2' }] });
  world.isHeldUp = false;
  world.wake();
  expect(world.callId()).toBe('m2#1');
});
