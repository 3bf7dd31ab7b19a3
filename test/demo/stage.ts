// The demo's stage: speaks as a WeChat user through the simulator, listens, prints, measures.
import { eventually } from '../support/eventually.ts';

interface Sent {
  seq: number;
  externalUserId: string;
  content: string;
  originalBytes: number;
  truncated: boolean;
  arrivedAt: number;
  acceptedAt: number;
  remaining: number;
}
interface Task {
  externalUserId: string;
  msgId: string;
  posts: number;
  startedAt: number;
  endedAt: number | null;
  callbacks: { at: number; answeredAt: number | null }[];
}
interface Message {
  msgid: string;
  externalUserId: string;
  injectedAt: number;
  firstReturnedAt: number | null;
}

export type Stage = Awaited<ReturnType<typeof createStage>>;

const HEARD_WITHIN_MS = 20_000;
const SHOWN_CHARACTERS = 60;

export async function createStage(env: Record<string, string | undefined>) {
  const need = (name: string): string => {
    const value = env[name];
    if (!value) throw new Error(`${name} is not set`);
    return value.replace(/\/$/, '');
  };
  const wecomUrl = need('WECOM_SIMULATOR_URL');
  const bridgeUrl = need('BRIDGE_SIMULATOR_URL');
  const binderUrl = need('BINDER_URL');
  const token = need('ADMIN_API_TOKEN');
  // Where the instance's bridge is as seen by the router: another host name inside containers.
  const bridgeAddress = new URL(env.DEMO_BRIDGE_URL || bridgeUrl);
  const startedAt = Date.now();
  const heardUpTo = new Map<string, number>();
  const asked: { user: string; msgid: string }[] = [];

  const print = (line: string) => {
    process.stdout.write(`${line}\n`);
  };
  const show = (at: number, who: string, text: string, note = '') => {
    const [shown] = [text.replaceAll('\n', '⏎')];
    const characters = [...shown];
    const cut = characters.length > SHOWN_CHARACTERS ? `${characters.slice(0, SHOWN_CHARACTERS).join('')}…` : shown;
    print(`  ${((at - startedAt) / 1000).toFixed(3).padStart(8)} s  ${who} ${cut}${note ? `   (${note})` : ''}`);
  };
  const call = async <T>(url: string, init: { method?: string; body?: unknown } = {}): Promise<T> => {
    const response = await fetch(url, {
      method: init.method ?? 'GET',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: init.body === undefined ? null : JSON.stringify(init.body),
      signal: AbortSignal.timeout(10_000),
    });
    const text = await response.text();
    if (!response.ok && response.status !== 409)
      throw new Error(`${init.method ?? 'GET'} ${url}: ${response.status} ${text}`);
    return (text ? JSON.parse(text) : null) as T;
  };
  const sentTo = async (user: string) =>
    (await call<{ sent: Sent[] }>(`${wecomUrl}/control/sent?user=${encodeURIComponent(user)}`)).sent;
  const tasks = async () => (await call<{ tasks: Task[] }>(`${bridgeUrl}/control/tasks`)).tasks;
  const nameOf = (user: string) => (user.startsWith('wm-xiaoming') ? '小明' : '小红');

  return {
    print,
    title: (text: string) => print(`\n  ${text}`),

    /** Registers the instance if need be and makes a binding code for it. */
    async makeCode(id: string, name: string): Promise<string> {
      const { hostname: serverHost, port } = bridgeAddress;
      const instance = { id, name, status: 'running', serverHost, hostPort: Number(port) };
      await call(`${binderUrl}/api/v1/agent/instances`, { method: 'POST', body: instance });
      await call(`${binderUrl}/api/v1/agent/instances/${id}`, { method: 'PATCH', body: instance });
      const made = await call<{ code: string }>(`${binderUrl}/api/v1/agent/channels/wecom/bind/${id}`, {
        method: 'POST',
      });
      return made.code;
    },

    async says(user: string, content: string): Promise<void> {
      const { msgid } = await call<{ msgid: string }>(`${wecomUrl}/control/messages`, {
        method: 'POST',
        body: { externalUserId: user, content },
      });
      asked.push({ user, msgid });
      show(Date.now(), `${nameOf(user)} ▶`, content);
    },

    /** Prints what the user gets until a text matches. */
    async hears(user: string, wanted: RegExp): Promise<void> {
      await eventually(
        `${nameOf(user)} hears ${wanted.source}`,
        async () => {
          const from = heardUpTo.get(user) ?? 0;
          const fresh = (await sentTo(user)).slice(from);
          for (const [index, sent] of fresh.entries()) {
            show(sent.acceptedAt, `${nameOf(user)} ◀`, sent.content, `${sent.originalBytes} B, ${sent.remaining} left`);
            heardUpTo.set(user, from + index + 1);
            if (wanted.test(sent.content)) return true;
          }
          return false;
        },
        { withinMs: HEARD_WITHIN_MS, everyMs: 15 },
      );
    },

    isWorking: async (user: string) =>
      (await tasks()).some((task) => task.externalUserId === user && task.endedAt === null),

    /** Medians over the turns of this run. */
    async printFigures(): Promise<void> {
      const own = new Set(asked.map(({ msgid }) => msgid));
      const messages = new Map<string, Message>();
      for (const user of new Set(asked.map((one) => one.user))) {
        const url = `${wecomUrl}/control/messages?user=${encodeURIComponent(user)}`;
        for (const message of (await call<{ messages: Message[] }>(url)).messages) messages.set(message.msgid, message);
      }
      const turns = (await tasks()).filter(({ msgId }) => own.has(msgId));
      const toBridge: number[] = [];
      const waits: number[] = [];
      const toUser: number[] = [];
      for (const task of turns) {
        const message = messages.get(task.msgId);
        const previousEnd = Math.max(
          0,
          ...turns
            .filter((turn) => turn.externalUserId === task.externalUserId && turn.startedAt < task.startedAt)
            .map((turn) => turn.endedAt ?? 0),
        );
        // A message that had to wait for the one before it says nothing about the pipeline's speed.
        if (message?.firstReturnedAt && previousEnd < message.firstReturnedAt) {
          toBridge.push(task.startedAt - message.firstReturnedAt);
          waits.push(message.firstReturnedAt - message.injectedAt);
        }
        const calledBackAt = task.callbacks[0]?.at;
        if (calledBackAt === undefined) continue;
        const answer = (await sentTo(task.externalUserId)).find(({ arrivedAt }) => arrivedAt >= calledBackAt);
        if (answer) toUser.push(answer.arrivedAt - calledBackAt);
      }
      print('');
      print(
        `  sync_msg ─▶ bridge    p50 ${median(toBridge)} ms, max ${max(toBridge)} ms (${toBridge.length} turns; the wait for the poll comes before: p50 ${median(waits)} ms)`,
      );
      print(`  callback ─▶ send_msg  p50 ${median(toUser)} ms, max ${max(toUser)} ms (${toUser.length} turns)`);
    },

    /** What went wrong although everything was heard: repeats, cut texts, overlaps, protocol violations. */
    async findFaults(users: string[]): Promise<string[]> {
      const faults: string[] = [];
      for (const user of users) {
        const sent = await sentTo(user);
        if (sent.some(({ truncated }) => truncated)) faults.push('a text was over 2048 bytes');
      }
      const own = new Set(asked.map(({ msgid }) => msgid));
      for (const task of await tasks())
        if (own.has(task.msgId) && task.posts !== 1) faults.push(`task ${task.msgId} was POSTed ${task.posts} times`);
      const { overlaps } = await call<{ overlaps: unknown[] }>(`${bridgeUrl}/control/overlaps`);
      if (overlaps.length > 0) faults.push(`${overlaps.length} overlapping tasks of one user`);
      const { violations } = await call<{ violations: unknown[] }>(`${bridgeUrl}/control/violations`);
      if (violations.length > 0) faults.push(`${violations.length} violations of the bridge protocol`);
      return faults;
    },
  };
}

const median = (values: number[]): string => {
  const sorted = values.toSorted((a, b) => a - b);
  return (sorted[Math.floor(sorted.length / 2)] ?? Number.NaN).toFixed(1);
};
const max = (values: number[]): string => Math.max(...values).toFixed(1);
