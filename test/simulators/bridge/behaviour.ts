// Bridge simulator: how a bridge may behave, and which rule decides for a task.
import { z } from 'zod';

const ms = z.number().min(0);

export const behaviourSchema = z.strictObject({
  /** From the POST to the ack. */
  ackDelayMs: ms,
  /**
   * accept `{ok:true,pending:true}` · refuse `{ok:false,error}` · status (HTTP `ackStatus`) · notJson · none (never
   * answers) · huge (`ackBytes` of JSON) · dropBefore (connection cut, no task) · dropAfter (cut, but the task runs)
   */
  ack: z.enum(['accept', 'refuse', 'status', 'notJson', 'none', 'huge', 'dropBefore', 'dropAfter']),
  ackError: z.string(),
  ackStatus: z.number().int().min(200).max(599),
  ackBytes: z.number().int().positive(),
  /** From the ack to the callback (from the POST when `callbackFirst`), plus up to `jitterMs`. */
  delayMs: ms,
  jitterMs: ms,
  /** ok · error (`ok:false` with `content`) · timeout (`ok:false, isTimeout:true`) · none (never calls back). */
  result: z.enum(['ok', 'error', 'timeout', 'none']),
  /** The answer; absent: one that repeats the prompt. */
  content: z.string().optional(),
  /** Makes the answer exactly so many bytes of UTF-8, in numbered paragraphs. */
  contentBytes: z.number().int().min(0).optional(),
  /** How many times the callback is made, one after another. */
  callbacks: z.number().int().min(1).max(10),
  /** The second and later ones carry another text. */
  differs: z.boolean(),
  /** The callback is answered before the ack is sent. */
  callbackFirst: z.boolean(),
  token: z.enum(['own', 'forged', 'missing']),
  msgIdAt: z.enum(['callbackData', 'top']),
});

export type Behaviour = z.infer<typeof behaviourSchema>;

export const behaviourPatchSchema = behaviourSchema.partial();
export type BehaviourPatch = z.infer<typeof behaviourPatchSchema>;

export const defaultBehaviour: Behaviour = {
  ackDelayMs: 0,
  ack: 'accept',
  ackError: 'bridge not connected',
  ackStatus: 500,
  ackBytes: 300 * 1024,
  delayMs: 20,
  jitterMs: 0,
  result: 'ok',
  callbacks: 1,
  differs: false,
  callbackFirst: false,
  token: 'own',
  msgIdAt: 'callbackData',
};

/** The patches laid over the base one after another; what a patch leaves out or sets to undefined stays. */
export function withPatches(base: Behaviour, patches: readonly BehaviourPatch[]): Behaviour {
  const merged = { ...base };
  for (const patch of patches) {
    for (const [name, value] of Object.entries(patch)) {
      if (value !== undefined) Object.assign(merged, { [name]: value });
    }
  }
  return merged;
}

export const ruleSchema = z.strictObject({
  /** Each that is given must match; the newest rule that matches wins. */
  port: z.number().int().optional(),
  user: z.string().optional(),
  /** Part of the prompt. */
  prompt: z.string().optional(),
  /** Used up after so many tasks. */
  count: z.number().int().positive().optional(),
  probability: z.number().min(0).max(1).default(1),
  seed: z.number().int().default(1),
  behaviour: behaviourPatchSchema,
});

export type RuleInput = z.input<typeof ruleSchema>;
export type Rule = z.infer<typeof ruleSchema> & { id: string; hits: number };
export type TaskSubject = { port: number; user: string; prompt: string };

export type Rules = {
  add(rule: RuleInput): Rule;
  remove(id?: string): number;
  list(): Rule[];
  /** What the newest matching rule asks for; an empty patch when none matches. */
  pick(subject: TaskSubject): BehaviourPatch;
};

export function createRules(): Rules {
  let rules: (Rule & { random: () => number })[] = [];
  let added = 0;
  const describe = ({ random: _random, ...rule }: Rule & { random: () => number }): Rule => rule;

  return {
    add(input) {
      added += 1;
      const parsed = ruleSchema.parse(input);
      const rule = { ...parsed, id: `rule-${added}`, hits: 0, random: createRandom(parsed.seed) };
      rules.unshift(rule);
      return describe(rule);
    },
    remove(id) {
      const before = rules.length;
      rules = id === undefined ? [] : rules.filter((rule) => rule.id !== id);
      return before - rules.length;
    },
    list: () => rules.map(describe),
    pick(subject) {
      for (const rule of rules) {
        if (rule.port !== undefined && rule.port !== subject.port) continue;
        if (rule.user !== undefined && rule.user !== subject.user) continue;
        if (rule.prompt !== undefined && !subject.prompt.includes(rule.prompt)) continue;
        if (rule.count !== undefined && rule.hits >= rule.count) continue;
        if (rule.probability < 1 && rule.random() >= rule.probability) continue;
        rule.hits += 1;
        return rule.behaviour;
      }
      return {};
    },
  };
}

/** Numbers in [0, 1) that depend on the seed only (a linear congruence, high bits). */
function createRandom(seed: number): () => number {
  let state = (seed ^ 0x9e3779b9) >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 4294967296;
  };
}
