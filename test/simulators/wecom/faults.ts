// WeCom simulator: faults on command: which calls they meet, how often, and what they do to them.
import { z } from 'zod';
import { createRandom } from './platform/random.ts';

const processed = z.boolean().optional();

/** `processed: true`: the platform does its work before the answer is spoilt. */
const actionSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('status'),
    status: z.number().int().min(200).max(599),
    body: z.string().optional(),
    processed,
  }),
  z.strictObject({ kind: z.literal('errcode'), errcode: z.number().int(), errmsg: z.string().optional() }),
  z.strictObject({
    kind: z.literal('delay'),
    delayMs: z.number().min(0),
    jitterMs: z.number().min(0).optional(),
    afterProcessing: z.boolean().optional(),
  }),
  z.strictObject({ kind: z.literal('drop') }),
  z.strictObject({ kind: z.literal('acceptThenDrop') }),
  z.strictObject({ kind: z.literal('cut'), bytes: z.number().int().min(0).optional() }),
  z.strictObject({ kind: z.literal('notJson'), body: z.string().optional(), processed }),
  z.strictObject({ kind: z.literal('huge'), bytes: z.number().int().positive(), processed }),
  z.strictObject({ kind: z.literal('hang'), processed }),
  z.strictObject({
    kind: z.literal('acceptThenFail'),
    failType: z.number().int(),
    afterMs: z.number().min(0).optional(),
  }),
  z.strictObject({ kind: z.literal('emptyPage') }),
  z.strictObject({ kind: z.literal('shortPage'), maxItems: z.number().int().min(1) }),
  z.strictObject({ kind: z.literal('replay'), items: z.number().int().min(1) }),
]);

export const faultSchema = z.strictObject({
  /** The path without /cgi-bin/ and kf/, as `send_msg` or `service_state/get`; `*` is any. */
  api: z.string().min(1),
  /** Only calls that concern this customer (send_msg, send_msg_on_event, service_state). */
  user: z.string().optional(),
  openKfId: z.string().optional(),
  /** Of matching calls: the first `skip` go free, then at most `count` are hit, each with `probability`. */
  skip: z.number().int().min(0).default(0),
  count: z.number().int().positive().optional(),
  probability: z.number().min(0).max(1).default(1),
  seed: z.number().int().default(1),
  action: actionSchema,
});

export type FaultRule = z.infer<typeof faultSchema>;
export type FaultInput = z.input<typeof faultSchema>;
export type FaultAction = FaultRule['action'];
export type Fault = FaultRule & { id: string; matched: number; hits: number };

export type CallSubject = { api: string; user: string | undefined; openKfId: string | undefined };

export type Faults = {
  add(rule: FaultInput): Fault;
  remove(id?: string): number;
  list(): Fault[];
  /** What happens to this call: every delay that hits, and the first other fault that hits. */
  pick(subject: CallSubject): {
    delays: Extract<FaultAction, { kind: 'delay' }>[];
    action: Exclude<FaultAction, { kind: 'delay' }> | undefined;
  };
};

export function createFaults(): Faults {
  let rules: (Fault & { random: () => number })[] = [];
  let added = 0;
  const describe = ({ random: _random, ...fault }: Fault & { random: () => number }): Fault => fault;

  const isHit = (rule: Fault & { random: () => number }, subject: CallSubject): boolean => {
    if (rule.api !== '*' && rule.api !== subject.api) return false;
    if (rule.user !== undefined && rule.user !== subject.user) return false;
    if (rule.openKfId !== undefined && rule.openKfId !== subject.openKfId) return false;
    if (rule.count !== undefined && rule.hits >= rule.count) return false;
    rule.matched += 1;
    if (rule.matched <= rule.skip) return false;
    if (rule.probability < 1 && rule.random() >= rule.probability) return false;
    rule.hits += 1;
    return true;
  };

  return {
    add(input) {
      added += 1;
      const rule = faultSchema.parse(input);
      const fault = { ...rule, id: `fault-${added}`, matched: 0, hits: 0, random: createRandom(rule.seed) };
      rules.push(fault);
      return describe(fault);
    },
    remove(id) {
      const before = rules.length;
      rules = id === undefined ? [] : rules.filter((rule) => rule.id !== id);
      return before - rules.length;
    },
    list: () => rules.map(describe),
    pick(subject) {
      const delays: Extract<FaultAction, { kind: 'delay' }>[] = [];
      let action: Exclude<FaultAction, { kind: 'delay' }> | undefined;
      for (const rule of rules) {
        if (rule.action.kind === 'delay') {
          if (isHit(rule, subject)) delays.push(rule.action);
        } else if (action === undefined && isHit(rule, subject)) action = rule.action;
      }
      return { delays, action };
    },
  };
}
