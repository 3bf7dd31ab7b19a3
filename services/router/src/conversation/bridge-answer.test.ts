import { describe, expect, test } from '@jest/globals';
import { failureOf, outcomeOf, refusalOf } from './bridge-answer.ts';

describe('an error text', () => {
  test.each([
    ['WebSocket DISCONNECTED from gateway', 'disconnected'],
    ['gateway not connected', 'disconnected'],
    ['Not Connected', 'disconnected'],
    ['task was aborted by user', 'aborted'],
    ['Gateway Shutting Down', 'shuttingDown'],
    ['aborted: disconnected while shutting down', 'disconnected'],
    ['aborted, shutting down', 'aborted'],
    ['connect ECONNREFUSED 10.0.0.1:8080', 'failed'],
    ['connected', 'failed'],
    ['', 'failed'],
  ] as const)('%j of a callback or the transport means %s', (words, expected) => {
    expect(failureOf(words)).toBe(expected);
  });

  test.each([
    ['OpenClaw Not Connected', 'bridgeRestarting'],
    ['disconnected', 'bridgeRefused'],
    ['aborted', 'bridgeRefused'],
    ['', 'bridgeRefused'],
  ] as const)('%j of a refusing ack means %s', (words, expected) => {
    expect(refusalOf(words)).toBe(expected);
  });
});

describe('a callback', () => {
  test('that is ok is the answer, whatever else it says', () => {
    expect(outcomeOf({ ok: true, content: 'disconnected', isTimeout: true })).toBe('answered');
    expect(outcomeOf({ ok: true, content: '', isTimeout: false })).toBe('answered');
  });

  test('that says it timed out is a time-out, whatever its words', () => {
    expect(outcomeOf({ ok: false, content: 'disconnected', isTimeout: true })).toBe('timeout');
  });

  test('that failed is told apart by its words', () => {
    expect(outcomeOf({ ok: false, content: 'run aborted', isTimeout: false })).toBe('aborted');
    expect(outcomeOf({ ok: false, content: 'Timeout', isTimeout: false })).toBe('failed');
  });
});
