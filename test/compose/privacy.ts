// npm run test:compose ─▶ what the containers log, held against what users and agents said and the tokens that were used.

const ANSWER_MS = 60_000;
const LARGE_BYTES = 30_000; // nginx's own buffer for a body ends at 16 KB
const SHOWN = 160;

/** Of the system itself: the simulators stand for others' servers. */
const OURS = ['gateway', 'rabbitmq', 'mongodb', 'mongodb-init', 'topology', 'ingest', 'binder', 'router', 'sender'];

/** From now on mongod takes every operation for a slow one: of each it would log what it logs of those. */
export async function logEveryOperation(compose: (args: string[]) => Promise<string>) {
  const command = 'db.setProfilingLevel(0, { slowms: -1 })';
  await compose(['exec', '-T', 'mongodb', 'mongosh', '--quiet', '--eval', command]);
}

/**
 * Lets an agent answer with 30 KB, then ends all routers and makes a callback that nobody takes. Ends the routers for good.
 * @returns what is wrong, a line each
 */
interface Task {
  prompt: string;
  callbackUrl: string;
  callbacks: { status: number }[];
}

export async function findLeaks({
  stack,
  compose,
  readLogs,
  user,
  post,
  read,
  until,
}: {
  stack: { wecom: string; bridge: string; router: string };
  compose: (args: string[]) => Promise<string>;
  /** all that they have logged */
  readLogs: (services: string[]) => Promise<string>;
  /** one who is bound */
  user: string;
  post: (url: string, body?: unknown) => Promise<{ status: number }>;
  read: (url: string) => Promise<{ tasks: Task[]; sent: { content: string }[] }>;
  until: (what: string, condition: () => Promise<boolean>, ms: number) => Promise<number>;
}): Promise<string[]> {
  const { wecom, bridge, router } = stack;
  const large = 'a question whose answer is large';
  const behaviour = { contentBytes: LARGE_BYTES };
  await post(`${bridge}/rules`, { user, prompt: large, behaviour });
  await post(`${wecom}/messages`, { externalUserId: user, content: large });
  const tasksOf = async () => (await read(`${bridge}/tasks`)).tasks;
  const isLarge = (task: Task) => task.prompt === large && task.callbacks[0]?.status === 200;
  await until('the large answer is taken', async () => (await tasksOf()).some(isLarge), ANSWER_MS);
  const heard = async () => (await read(`${wecom}/sent?user=${user}`)).sent.map(({ content }) => content);
  await until('it is sent', async () => (await heard()).join().includes('【第 0001 段】'), ANSWER_MS);

  const tasks = await tasksOf();
  const { pathname, search } = new URL(tasks.find(isLarge)?.callbackUrl ?? '');
  await compose(['stop', 'router']);
  const untaken = 'an answer that no router takes';
  const { status } = await post(`${router}${pathname}${search}`, { ok: true, content: untaken, msgId: 'm-untaken' });
  const faults = status === 503 ? [] : [`a callback without a router: ${status} instead of 503`];

  const tokens = tasks.map((task) => new URL(task.callbackUrl).searchParams.get('token') ?? '');
  const prompts = tasks.map((task) => task.prompt);
  const secrets = new Set([...tokens, ...prompts, untaken, '你说的是「', '【第 0001 段】', '小龙虾先把问题']);
  const lines = (await readLogs(OURS)).split('\n');
  // A test that reads no logs would find nothing in them.
  if (!lines.some((line) => line.includes('answer.received'))) faults.push('docker compose logs: nothing of a router');
  for (const secret of secrets) {
    const line = lines.find((one) => one.includes(secret));
    if (line) faults.push(`a token or text is logged: ${line.slice(0, SHOWN)}`);
  }
  return faults;
}
