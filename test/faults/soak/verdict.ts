// Soak ─▶ what the WeCom simulator and the bridge saw, held against what users wrote: lost, repeated, reordered, …
import type { TaskRecord } from '../../simulators/bridge/task-book.ts';
import type { SentRecord } from '../../simulators/wecom/platform/journal.ts';
import type { Happened } from './inject.ts';
import { BRIDGE_ACK_TIMEOUT_MS, CALLBACK_TIMEOUT_MS, type Machine } from './machine.ts';
import type { Said } from './users.ts';
import { type Failure, readText } from './words.ts';

export const VIOLATIONS = ['lost', 'repeated', 'reordered', 'overlapping', 'wrong', 'stuck', 'dead-lettered'] as const;

export interface Violation {
  kind: (typeof VIOLATIONS)[number];
  user: string;
  msgid: string;
  what: string;
}

/** What a user's message came to. */
export interface Ending {
  said: Said;
  /** Epoch ms at which WeCom accepted the text that ended its turn, and the text's place among the user's. */
  endedAt: number;
  place: number;
  by: 'answer' | 'bound' | Failure;
  sent: SentRecord;
}

export interface Verdict {
  violations: Violation[];
  /** By msgid, of every message that was answered. */
  endings: Map<string, Ending>;
  failures: number;
  lateReplies: number;
}

/** An open breaker fails calls for 30 s after what made it open. */
const BREAKER_MS = 35_000;

/** Messages that still wait for the text that ends them. */
export function findUnanswered(machine: Machine, said: readonly Said[]): Said[] {
  const { endings, incomplete } = readAll(machine, said);
  return said.filter((one) => (needsEnding(machine, one) && !endings.has(one.msgid)) || incomplete.has(one.msgid));
}

export function judge(machine: Machine, said: readonly Said[], happened: readonly Happened[]): Verdict {
  const read = readAll(machine, said);
  const { violations, endings, incomplete } = read;
  const { bridge } = machine;
  const violate = (kind: Violation['kind'], one: Said, what: string) =>
    violations.push({ kind, user: one.user, msgid: one.msgid, what });

  for (const one of said) {
    const ending = endings.get(one.msgid);
    const task = bridge.control.task(one.msgid);
    if (needsEnding(machine, one) && !ending) violate('lost', one, `${one.kind} ${one.name}: no answer`);
    else if (incomplete.has(one.msgid)) violate('lost', one, `${one.name}: ${incomplete.get(one.msgid)}`);
    if (one.kind === 'question' && !task && ending?.by === 'answer') violate('wrong', one, 'answered without a task');
    if (one.kind !== 'question' && one.kind !== 'word' && task) violate('wrong', one, `${one.kind} became a task`);
    if (task && task.runs > 1) violate('repeated', one, `ran ${task.runs} times`);
    if (ending && ending.by !== 'answer' && ending.by !== 'bound' && !isExplained(ending, ending.by, task, happened))
      violate('wrong', one, `${ending.by}, and nothing explains it`);
  }

  for (const ofUser of Map.groupBy(said, ({ user }) => user).values()) {
    // What WeCom failed afterwards comes again later, before anything not yet accepted.
    const hasFailedParts = machine.wecom.control.sent({ user: ofUser[0]?.user }).some(isFailed);
    let last = -1;
    let lastTask = 0;
    for (const one of ofUser) {
      const place = endings.get(one.msgid)?.place ?? -1;
      // A code takes its own way: it may be done before what was asked earlier, never after what was asked later.
      if (place >= 0 && place < last && one.kind !== 'code' && !hasFailedParts)
        violate('reordered', one, `${one.name} was answered too late`);
      last = Math.max(last, place);
      const startedAt = bridge.control.task(one.msgid)?.startedAt ?? 0;
      if (startedAt > 0 && startedAt < lastTask) violate('reordered', one, 'its task began before an earlier one');
      lastTask = Math.max(lastTask, startedAt);
    }
  }
  const bySaid = new Map(said.map((one) => [one.msgid, one]));
  for (const { earlier, later } of bridge.control.overlaps()) {
    const one = bySaid.get(later);
    // A turn that failed or timed out has ended for us, whatever its bridge still does.
    if (one && endings.get(earlier)?.by === 'answer')
      violate('overlapping', one, `its task began while ${earlier} ran`);
  }
  for (const { violations: found, body } of bridge.control.violations())
    violations.push({
      kind: 'wrong',
      user: '',
      msgid: '',
      what: `task body: ${found.join('; ')} ${body.slice(0, 200)}`,
    });
  return { violations, endings, failures: read.failures, lateReplies: read.lateReplies };
}

/** A continuation word may be consumed; what isn't text is answered by a notice, which may be left out. */
function needsEnding(machine: Machine, { kind, msgid }: Said): boolean {
  if (kind === 'word') return machine.bridge.control.task(msgid) !== undefined;
  return kind === 'question' || kind === 'code';
}

const isFailed = ({ failType }: SentRecord) => failType !== undefined;

function readAll(machine: Machine, said: readonly Said[]) {
  const violations: Violation[] = [];
  const endings = new Map<string, Ending>();
  /** Answers of which parts are missing. */
  const incomplete = new Map<string, string>();
  let failures = 0;
  let lateReplies = 0;

  for (const [user, ofUser] of Map.groupBy(said, (one) => one.user)) {
    const violate = (kind: Violation['kind'], sent: SentRecord, what: string) =>
      violations.push({ kind, user, msgid: sent.msgid, what });
    const byName = new Map(ofUser.filter(({ name }) => name !== '').map((one) => [one.name, one]));
    const waiting = ofUser.filter((one) => needsEnding(machine, one));
    const words = waiting.filter(({ kind }) => kind === 'word');
    const counts = { thinking: 0, stillThinking: 0, queued: 0, unsupported: 0, queueFull: 0, rateLimited: 0, bound: 0 };
    const paragraphs = new Map<string, number[]>();
    const end = (one: Said, by: Ending['by'], sent: SentRecord, place: number) =>
      endings.set(one.msgid, { said: one, endedAt: sent.acceptedAt, place, by, sent });

    // What WeCom failed afterwards was never seen.
    const all = machine.wecom.control.sent({ user });
    const sents = all.filter((sent) => !isFailed(sent));
    /** Its answer comes again: a failure told in between is that of a later message. */
    const hasFailedAnswer = ({ name }: Said, { seq }: SentRecord) =>
      all.some((one) => isFailed(one) && one.seq < seq && name !== '' && one.content.includes(`「${name}#`));
    /** WeCom failed a text that told of a failure: it comes again later, perhaps behind the late reply. */
    const hasFailedFailure = ({ seq }: SentRecord) =>
      all.some((one) => isFailed(one) && one.seq < seq && readText(one.content).kind === 'failure');
    let failuresToCome = 0;
    for (const [place, sent] of sents.entries()) {
      if (sent.truncated) violate('wrong', sent, 'a text was cut');
      const heard = readText(sent.content);
      if (heard.kind === 'unknown') violate('wrong', sent, `nobody says: ${sent.content.slice(0, 100)}`);
      else if (heard.kind === 'notice') {
        counts[heard.notice]++;
        const code = waiting.find(({ kind, msgid }) => kind === 'code' && !endings.has(msgid));
        if (heard.notice !== 'bound') continue;
        if (code) end(code, 'bound', sent, place);
        else violate('repeated', sent, 'bound once more');
      } else if (heard.kind === 'failure') {
        failures++;
        if (failuresToCome > 0) {
          failuresToCome--;
          continue;
        }
        const one = waiting.find(
          (said) => said.kind !== 'code' && !endings.has(said.msgid) && !hasFailedAnswer(said, sent),
        );
        if (one) end(one, heard.failure, sent, place);
        else violate('repeated', sent, `${heard.failure}, but every message is answered`);
      } else {
        // The words have all the same name; whichever is next is meant.
        const isWord = !/^(q\d+|[0-9A-F]{6})$/.test(heard.name);
        const one = isWord ? words.find(({ msgid }) => !endings.has(msgid)) : byName.get(heard.name);
        if (!one)
          violate(isWord ? 'repeated' : 'wrong', sent, `an answer to ${heard.name}, which this user didn't ask`);
        else if (isWord) end(one, 'answer', sent, place);
        else {
          const ending = endings.get(one.msgid);
          const isLate = ending !== undefined && ending.by !== 'answer';
          const got = paragraphs.get(one.msgid) ?? [];
          if (heard.isLate) lateReplies++;
          const isEarly = heard.isLate && !isLate;
          if (isEarly && hasFailedFailure(sent)) failuresToCome++;
          else if (isEarly) violate('wrong', sent, `${heard.name}: late, but its turn had not ended`);
          if (!heard.isLate && isLate && got.length === 0)
            violate('repeated', sent, `${heard.name}: an answer after ${ending.by}`);
          if (!heard.isWhole) violate('wrong', sent, `${heard.name}: a paragraph is not as it was written`);
          for (const number of heard.paragraphs)
            if (got.includes(number)) violate('repeated', sent, `${heard.name}: paragraph ${number} again`);
          paragraphs.set(one.msgid, [...got, ...heard.paragraphs]);
          if (!ending) end(one, 'answer', sent, place);
          if ((paragraphs.get(one.msgid)?.length ?? 0) < heard.of)
            incomplete.set(one.msgid, `${paragraphs.get(one.msgid)?.length} of ${heard.of} paragraphs`);
          else incomplete.delete(one.msgid);
        }
      }
    }
    for (const [msgid, numbers] of paragraphs)
      if (numbers.some((number, index) => index > 0 && number < (numbers[index - 1] ?? 0)) && !hasFailed(machine, user))
        violations.push({ kind: 'reordered', user, msgid, what: `paragraphs ${numbers.join(' ')}` });
    const most = { thinking: waiting.length, stillThinking: waiting.length, queued: waiting.length };
    const images = ofUser.filter(({ kind }) => kind === 'image').length;
    for (const [notice, limit] of Object.entries({ ...most, unsupported: images, queueFull: 0, rateLimited: 0 })) {
      const count = counts[notice as 'queued'];
      if (count > limit)
        violations.push({ kind: 'repeated', user, msgid: '', what: `${count} times ${notice}, at most ${limit}` });
    }
  }
  return { violations, endings, incomplete, failures, lateReplies };
}

const hasFailed = (machine: Machine, user: string) => machine.wecom.control.sent({ user }).some(isFailed);

/** Whether the bridge, or a fault on the way to it or back, accounts for what the user was told. */
function isExplained(
  ending: Ending,
  by: Failure,
  task: TaskRecord | undefined,
  happened: readonly Happened[],
): boolean {
  const { said, endedAt } = ending;
  const isDuring = (target: (name: string) => boolean) =>
    happened.some(
      (one) =>
        (one.kind === 'network' || one.kind === 'freeze') &&
        target(one.target) &&
        one.from < endedAt &&
        one.to + BREAKER_MS > said.at,
    );
  const isWayBroken = isDuring((name) => name === 'router → bridge' || name.startsWith('router-'));
  if (by === 'bridgeRestarting' || by === 'bridgeRefused') return task?.ack === 'refuse';
  if (by === 'timeout') {
    if (!task || task.result === 'timeout' || task.result === 'none' || task.result === null) return task !== undefined;
    const taken = task.callbacks.find(({ status }) => status === 200)?.answeredAt ?? Number.POSITIVE_INFINITY;
    return taken - task.startedAt > CALLBACK_TIMEOUT_MS - 2_000;
  }
  // A bridge that calls back before it acks couldn't call back in time.
  const isAckLate = task?.ackedAt != null && task.ackedAt - task.startedAt > BRIDGE_ACK_TIMEOUT_MS;
  if (isAckLate && isDuring((name) => name === 'bridge → router')) return true;
  return isWayBroken || task?.result === 'error' || !['accept', ''].includes(task?.ack ?? '');
}
