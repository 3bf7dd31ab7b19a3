// Soak ─▶ simulated WeChat users: what they write, when, and what they make of the texts they get.
import { createRandom } from '../../simulators/wecom/platform/random.ts';
import type { Machine } from './machine.ts';
import { readText } from './words.ts';

/** What the system allows a user, and what this user keeps to: so that no message is refused for being too many. */
const MAX_OPEN = 4;
const MAX_PER_MINUTE = 9;
const TICK_MS = 100;
/** A user who waits in vain writes something else: perhaps the allowance is used up. */
const IMPATIENT_AFTER_MS = 8_000;

export type SaidKind = 'question' | 'image' | 'code' | 'word';

export interface Said {
  user: string;
  msgid: string;
  kind: SaidKind;
  /** Of a question: what every paragraph of its answer carries. */
  name: string;
  /** Epoch ms of this machine. */
  at: number;
}

interface User {
  id: string;
  instanceId: string;
  random: () => number;
  nextAt: number;
  said: Said[];
  /** How many texts have been looked at; how many of those ended a message. */
  read: number;
  ended: Set<string>;
  failures: number;
  bound: number;
  /** The last text said that there is more. */
  hasMore: boolean;
  /** Nothing came since the last continuation word: it may be waiting in the line like any other message. */
  isWordOpen: boolean;
  isBusy: boolean;
}

export interface Users {
  said: Said[];
  ids: string[];
  /** Binds everybody. */
  bindAll(): Promise<void>;
  /** They begin to write at random. */
  start(): void;
  stop(): Promise<void>;
  /** These users write something that costs an agent nothing and opens a new allowance. */
  nudge(ids: readonly string[]): void;
}

export function createUsers(options: { machine: Machine; count: number; seed: number; perMinute: number }): Users {
  const { machine, count, seed, perMinute } = options;
  const { wecom } = machine;
  const said: Said[] = [];
  const pauseMs = (count * 60_000) / perMinute;
  let questions = 0;
  let timer: NodeJS.Timeout | undefined;
  const pending = new Set<Promise<void>>();
  const now = () => performance.timeOrigin + performance.now();

  const users = Array.from({ length: count }, (_, index): User => {
    const random = createRandom(seed * 1_000 + index);
    return {
      id: `wm-user-${index}`,
      instanceId: `instance-${index}`,
      random,
      nextAt: random() * pauseMs,
      said: [],
      read: 0,
      ended: new Set(),
      failures: 0,
      bound: 0,
      hasMore: false,
      isWordOpen: false,
      isBusy: false,
    };
  });

  const say = (user: User, messages: { kind: SaidKind; name: string; content?: string }[]) => {
    const inputs = messages.map(({ kind, content }) =>
      kind === 'image'
        ? { externalUserId: user.id, msgtype: 'image' }
        : { externalUserId: user.id, content: content ?? '' },
    );
    const at = now();
    for (const [index, { msgid }] of wecom.control.sendMessages(inputs).entries()) {
      const { kind = 'image', name = '' } = messages[index] ?? {};
      const one: Said = { user: user.id, msgid: msgid ?? '', kind, name, at };
      user.said.push(one);
      said.push(one);
    }
  };

  const question = (user: User) => {
    const dice = user.random();
    const number = ++questions;
    // Some look like binding codes and are none.
    if (dice < 0.02) {
      const name = (0xa00000 + number).toString(16).toUpperCase();
      return { kind: 'question' as const, name, content: name };
    }
    const paragraphs = dice < 0.08 ? 20 + Math.floor(user.random() * 30) : dice < 0.1 ? 90 : 1;
    const name = `q${number}`;
    return { kind: 'question' as const, name, content: paragraphs === 1 ? name : `${name} x${paragraphs}` };
  };

  const rebind = async (user: User) => {
    user.isBusy = true;
    const code = await machine.makeCode(user.instanceId);
    const spelt = user.random() < 0.5 ? ` ${code.toLowerCase()} ` : code;
    say(user, [{ kind: 'code', name: code, content: spelt }, question(user)]);
    user.isBusy = false;
  };

  /** Reads what came since the last look. */
  const look = (user: User) => {
    const sent = wecom.control.sent({ user: user.id });
    for (; user.read < sent.length; user.read++) {
      const heard = readText(sent[user.read]?.content ?? '');
      user.hasMore = heard.hasMore;
      user.isWordOpen = false;
      if (heard.kind === 'answer' && !heard.isLate) user.ended.add(heard.name);
      else if (heard.kind === 'failure') user.failures++;
      else if (heard.kind === 'notice' && heard.notice === 'bound') user.bound++;
    }
  };

  const openOf = (user: User): number => {
    const begun = user.said.filter(({ kind }) => kind === 'question' || kind === 'code').length;
    return begun - user.ended.size - user.failures - user.bound + (user.isWordOpen ? 1 : 0);
  };

  const write = (user: User) => {
    const at = now();
    const lastMinute = user.said.filter((one) => at - one.at < 61_000).length;
    const free = Math.min(MAX_OPEN - openOf(user), MAX_PER_MINUTE - lastMinute);
    if (free <= 0) {
      const last = user.said.at(-1)?.at ?? 0;
      if (at - last > IMPATIENT_AFTER_MS && lastMinute < MAX_PER_MINUTE) say(user, [{ kind: 'image', name: '' }]);
      return;
    }
    const dice = user.random();
    if (user.hasMore && !user.isWordOpen && dice < 0.7) {
      say(user, [{ kind: 'word', name: '', content: dice < 0.4 ? '继续' : ' More ' }]);
      user.isWordOpen = true;
    } else if (dice < 0.05) say(user, [{ kind: 'image', name: '' }]);
    // A new code would void one that is still under way.
    else if (dice < 0.08 && free >= 2 && user.said.filter(({ kind }) => kind === 'code').length === user.bound) {
      const binding: Promise<void> = rebind(user).finally(() => pending.delete(binding));
      pending.add(binding);
    } else if (dice < 0.25) {
      const burst = Math.min(free, 2 + Math.floor(user.random() * 3));
      say(
        user,
        Array.from({ length: burst }, () => question(user)),
      );
    } else say(user, [question(user)]);
  };

  return {
    said,
    ids: users.map(({ id }) => id),
    async bindAll() {
      // Some at a time: the binder works them off one after another.
      for (let from = 0; from < users.length; from += 10)
        await Promise.all(
          users.slice(from, from + 10).map(async (user) => {
            await machine.addInstance(user.instanceId);
            const code = await machine.makeCode(user.instanceId);
            say(user, [{ kind: 'code', name: code, content: code }]);
          }),
        );
    },
    start() {
      const startedAt = performance.now();
      timer = setInterval(() => {
        const elapsed = performance.now() - startedAt;
        for (const user of users) {
          look(user);
          if (user.isBusy || user.nextAt > elapsed) continue;
          user.nextAt = elapsed + pauseMs * (0.3 + 1.4 * user.random());
          write(user);
        }
      }, TICK_MS);
    },
    async stop() {
      clearInterval(timer);
      await Promise.all(pending);
    },
    nudge(ids) {
      for (const user of users) if (ids.includes(user.id)) say(user, [{ kind: 'image', name: '' }]);
    },
  };
}
