// Soak ─▶ what goes wrong with one call in twenty, at WeCom and at the bridges.
import type { BehaviourPatch } from '../../simulators/bridge/behaviour.ts';
import type { FaultInput } from '../../simulators/wecom/faults.ts';
import { CALLBACK_TIMEOUT_MS, type Machine } from './machine.ts';

/** [share of calls, what happens]; they add up to 5 %. */
const ANY_CALL: [number, FaultInput['action']][] = [
  [0.006, { kind: 'drop' }],
  [0.008, { kind: 'acceptThenDrop' }],
  [0.008, { kind: 'delay', delayMs: 500, jitterMs: 1_500 }],
  [0.004, { kind: 'delay', delayMs: 3_500, afterProcessing: true }],
  [0.005, { kind: 'status', status: 502 }],
  [0.002, { kind: 'status', status: 502, processed: true }],
  [0.005, { kind: 'errcode', errcode: -1 }],
  [0.003, { kind: 'errcode', errcode: 45033 }],
  [0.003, { kind: 'cut' }],
  [0.002, { kind: 'notJson' }],
  [0.002, { kind: 'notJson', processed: true }],
  [0.001, { kind: 'hang' }],
  [0.001, { kind: 'huge', bytes: 2_000_000, processed: true }],
];
const SYNC: [number, FaultInput['action']][] = [
  [0.02, { kind: 'replay', items: 30 }],
  [0.02, { kind: 'emptyPage' }],
  [0.02, { kind: 'shortPage', maxItems: 1 }],
];
const SEND: [number, FaultInput['action']][] = [[0.003, { kind: 'acceptThenFail', failType: 5, afterMs: 500 }]];

const BRIDGE: [number, BehaviourPatch][] = [
  [0.004, { ack: 'refuse' }],
  [0.002, { ack: 'refuse', ackError: 'agent is busy' }],
  [0.004, { ack: 'status', ackStatus: 503 }],
  [0.004, { ack: 'notJson' }],
  [0.003, { ack: 'none' }],
  [0.002, { ack: 'huge' }],
  [0.003, { ack: 'dropBefore' }],
  [0.003, { ack: 'dropAfter' }],
  [0.003, { ackDelayMs: 3_000 }],
  [0.003, { callbackFirst: true }],
  [0.005, { callbacks: 2, differs: true }],
  [0.002, { result: 'error', content: 'task aborted' }],
  [0.002, { result: 'error', content: 'gateway shutting down' }],
  [0.002, { result: 'error', content: 'agent disconnected' }],
  [0.002, { result: 'timeout', content: 'timed out' }],
  [0.002, { result: 'none' }],
  [0.002, { delayMs: CALLBACK_TIMEOUT_MS + 5_000 }],
  [0.001, { contentBytes: 300 * 1024 }],
  [0.001, { token: 'forged' }],
];

/** Until `behave` is called. */
export function misbehave({ wecom, bridge }: Machine, seed: number) {
  let next = seed;
  const rules = (api: string, shares: [number, FaultInput['action']][]) => {
    for (const [probability, action] of shares) wecom.control.addFault({ api, probability, seed: next++, action });
  };
  for (const api of ['sync_msg', 'send_msg', 'gettoken']) rules(api, ANY_CALL);
  rules('sync_msg', SYNC);
  rules('send_msg', SEND);
  for (const [probability, behaviour] of BRIDGE) bridge.control.addRule({ probability, seed: next++, behaviour });
}

export function behave({ wecom, bridge }: Machine) {
  wecom.control.removeFaults();
  bridge.control.removeRules();
}
