// Bench: WeCom with its customers, in a process of its own: they write and hear inside it, without any HTTP.

import type { SentRecord } from '../simulators/wecom/platform/journal.ts';
import { createRandom } from '../simulators/wecom/platform/random.ts';
import { startWecomSimulator } from '../simulators/wecom/start-wecom-simulator.ts';
import { answerCommands } from './child.ts';
import { type AskedTurn, type CustomerCommand, now } from './turns.ts';

const wecom = await startWecomSimulator();
let asked: AskedTurn[] = [];
let writing: Promise<void> = Promise.resolve();
let isClosedLoop = false;
let number = 0;
let answeredLastAt = 0;
const openTurns = new Map<string, AskedTurn[]>();

function write(user: string, intendedAt: number, mark: string): void {
  const prompt = `${mark}${user} 第 ${++number} 句:帮我看看明天的天气,再安排一下行程`;
  // Known before it is said: the answer could be there first.
  const turn: AskedTurn = { user, msgid: '', prompt, intendedAt, answeredAt: null };
  asked.push(turn);
  const ofUser = openTurns.get(user);
  if (ofUser) ofUser.push(turn);
  else openTurns.set(user, [turn]);
  turn.msgid = wecom.control.sendMessage({ externalUserId: user, content: prompt }).msgid ?? '';
}

wecom.control.listen((event) => {
  if (event.type !== 'sent') return;
  const sent = event.sent as SentRecord;
  const turns = openTurns.get(sent.externalUserId) ?? [];
  const turn = turns.find(({ prompt }) => sent.content.includes(`「${prompt}」`));
  if (!turn) return; // "thinking", or a repeat: the check at the end sees it
  turn.answeredAt = sent.acceptedAt;
  answeredLastAt = now();
  turns.splice(turns.indexOf(turn), 1);
  if (turns.length === 0) openTurns.delete(sent.externalUserId);
  // Not inside the answer's own call.
  if (isClosedLoop) setImmediate(() => isClosedLoop && write(sent.externalUserId, now(), ''));
});

const wait = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Calls `act` at each moment; when the machine was late, at once and with the moment that was meant. */
async function atMoments(count: number, gapMs: () => number, act: (index: number, intendedAt: number) => void) {
  let due = now() + 50;
  for (let index = 0; index < count; index += 1) {
    while (now() < due) await wait(Math.max(1, due - now()));
    act(index, due);
    due += gapMs();
  }
}

const commands = {
  async closed({ users }: Extract<CustomerCommand, { kind: 'closed' }>) {
    isClosedLoop = true;
    for (const user of users) write(user, now(), '');
  },
  async open({ users, perSecond, count, seed, mark }: Extract<CustomerCommand, { kind: 'open' }>) {
    const random = createRandom(seed);
    const gapMs = () => (-Math.log(1 - random()) * 1000) / perSecond;
    writing = atMoments(count, gapMs, (index, at) => write(users[index % users.length] ?? '', at, mark));
    await writing;
  },
  async write({ users, perSecond, mark }: Extract<CustomerCommand, { kind: 'write' }>) {
    const gapMs = () => 1000 / perSecond;
    await atMoments(users.length, gapMs, (index, at) => write(users[index] ?? '', at, mark));
  },
  async collect({ withinMs }: Extract<CustomerCommand, { kind: 'collect' }>) {
    isClosedLoop = false;
    await writing;
    answeredLastAt = now();
    while (openTurns.size > 0 && now() < answeredLastAt + withinMs) await wait(20);
    const turns = asked;
    asked = [];
    openTurns.clear();
    return turns;
  },
};

answerCommands<CustomerCommand>(
  { url: wecom.url, ids: { corpId: wecom.corpId, secret: wecom.secret, openKfId: wecom.openKfId } },
  (command) => commands[command.kind](command as never),
);
