// The router's every decision about one user, as a pure reducer: state and event in, state and effects out.
import type { CustomerItem, TextKind } from '@pipeline/contracts';
import type { Decision, ReduceContext } from '@pipeline/mailbox';
import { answerTakenWrite, type SideWrite, taskEndedWrite, taskStartedWrite } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { countWaiting, extendWindow, judge } from './admission.ts';
import type {
  BridgeCall,
  BridgeOutcome,
  ConversationEffect,
  ConversationEvent,
  ConversationLookup,
  ConversationSettings,
  ConversationState,
  Destination,
  Entry,
  FailureText,
  Turn,
} from './conversation-state.ts';
import { replyInsteadOfTurn } from './turn-start.ts';

const MAX_BEHIND_HOLD = 20;
const KEPT_SETTLEMENTS = 16;
const KEPT_UNANSWERED = 100;
const LATE_ANSWER_MS = 24 * 3_600_000;
const ASK_FIRST_MS = 10_000;
const ASK_MAX_MS = 300_000;

export type ConversationDecision = Decision<ConversationState, ConversationEffect, ConversationLookup>;

/** The call that a conversation has open: named by the message and the count of its POSTs. */
export function callOf({ turn }: ConversationState): BridgeCall | null {
  if (turn?.phase !== 'dispatching') return null;
  return { id: `${turn.msgId}#${turn.attempt}`, startedAt: turn.dispatchedAt, turn };
}

/** The earliest due time: reminder, time limit, asking again after a hold. */
export function dueAt({ turn, entries }: ConversationState): number | null {
  const due = [turn?.remindAt ?? null, turn?.deadline ?? null];
  for (const entry of entries) if (entry.status === 'hold') due.push(entry.askAt);
  const set = due.filter((time) => time !== null);
  return set.length === 0 ? null : Math.min(...set);
}

/**
 * Builds the reducer for given settings. Events that are redelivered, early, late or about something long gone leave
 * the state object as it is.
 */
export function createConversationReducer(settings: ConversationSettings) {
  return (before: ConversationState, event: ConversationEvent, context: ReduceContext): ConversationDecision => {
    const { now, userKey } = context;
    let state = before;
    const effects: ConversationEffect[] = [];
    const sides: SideWrite[] = [];
    let lookup: ConversationLookup | undefined;
    const patch = (fields: Partial<ConversationState>) => {
      state = { ...state, ...fields };
    };
    const say = (msgId: string, key: string, textKind: TextKind, content: string | null, isLate = false) => {
      const effect = { id: `${msgId}:${key}`, kind: 'text', textKind, msgId, content, decidedAt: now } as const;
      effects.push(isLate ? { ...effect, isLate } : effect);
    };

    const takeItem = (item: CustomerItem) => {
      const settled = state.settlements.find(({ msgId }) => msgId === item.msgId);
      if (settled) patch({ settlements: state.settlements.filter((settlement) => settlement !== settled) });
      if (settled?.consumed) return;
      const isHeld = item.decidedBy !== null && !settled;
      // One of those not accepted is the hold itself.
      if (state.entries.filter(({ status }) => status !== 'accepted').length > MAX_BEHIND_HOLD)
        return say(item.msgId, 'queueFull', 'notice', render('queueFull', { depth: settings.queueMaxDepth }));
      const entry: Entry = isHeld
        ? { status: 'hold', item, askAt: now + ASK_FIRST_MS, askDelayMs: ASK_FIRST_MS, asked: 0 }
        : { status: 'undecided', item };
      patch({ entries: [...state.entries, entry] });
      decideEntries();
    };

    /** Judges, in order, what no hold stands before. */
    const decideEntries = () => {
      const entries = [...state.entries];
      const decided: Entry[] = [];
      let { accepted } = state;
      while (entries[0] && entries[0].status !== 'hold') {
        const entry = entries.shift() as Exclude<Entry, { status: 'hold' }>;
        if (entry.status === 'accepted') {
          decided.push(entry);
          continue;
        }
        const { item } = entry;
        const verdict = judge(item, { turn: state.turn, accepted, waiting: countWaiting(decided) }, settings);
        if (verdict.kind === 'accepted') {
          decided.push({ status: 'accepted', msgId: item.msgId, text: verdict.text });
          accepted = extendWindow(accepted, item.sendTime, settings.rateLimitPerMinute);
          if (verdict.ahead > 0) say(item.msgId, 'queued', 'courtesy', render('queued', { N: verdict.ahead }));
        } else if (verdict.kind === 'refused') {
          const params = { limit: settings.rateLimitPerMinute, depth: settings.queueMaxDepth };
          say(item.msgId, verdict.text, 'notice', render(verdict.text, params));
        }
      }
      patch({ entries: [...decided, ...entries], accepted });
    };

    const startTurn = (destination: Destination) => {
      const [head, ...rest] = state.entries;
      if (state.turn || head?.status !== 'accepted') return;
      patch({ entries: rest });
      const reply = replyInsteadOfTurn(destination);
      if (reply) return say(head.msgId, reply.key, 'answer', reply.content);
      const { instance } = destination;
      if (!instance) return;
      const copied = {
        instanceId: instance.id,
        instanceName: instance.name,
        serverHost: instance.serverHost,
        hostPort: instance.hostPort,
      };
      const turn: Turn = {
        ...copied,
        msgId: head.msgId,
        prompt: head.text,
        phase: 'dispatching',
        attempt: 1,
        dispatchedAt: now,
        remindAt: now + settings.thinkingReminderMs,
        deadline: null,
      };
      patch({ turn });
      sides.push(taskStartedWrite({ userKey, msgId: head.msgId, ...copied, startedAt: now }));
      say(head.msgId, 'thinking', 'courtesy', render('thinking'));
    };

    const endTurn = (turn: Turn, endedBy: 'answer' | FailureText) => {
      const hasAnswer = endedBy === 'answer';
      if (hasAnswer) say(turn.msgId, 'answer', 'answer', null);
      else say(turn.msgId, endedBy, 'answer', render(endedBy, { name: turn.instanceName }));
      sides.push(taskEndedWrite(userKey, turn.msgId, endedBy, now));
      patch({ turn: null });
      return hasAnswer;
    };
    const expectLateAnswer = (turn: Turn) =>
      patch({ unanswered: [...state.unanswered, { msgId: turn.msgId, endedAt: now }].slice(-KEPT_UNANSWERED) });

    const takeCallOutcome = (callId: string, outcome: BridgeOutcome) => {
      const { turn } = state;
      if (turn?.phase !== 'dispatching' || !callId.startsWith(`${turn.msgId}#`)) return;
      if (outcome.kind === 'acked')
        return patch({ turn: { ...turn, phase: 'waiting', deadline: now + settings.callbackTimeoutMs } });
      // A failure of an earlier POST says nothing about the present one.
      if (callId !== callOf(state)?.id) return;
      endTurn(turn, outcome.text);
      expectLateAnswer(turn);
    };

    const takeAnswer = (msgId: string, answer: 'answered' | FailureText | null) => {
      if (answer === null) return;
      const { turn } = state;
      const waited = state.unanswered.find((ended) => ended.msgId === msgId);
      if (turn?.msgId === msgId) endTurn(turn, answer === 'answered' ? 'answer' : answer);
      else if (waited) {
        patch({ unanswered: state.unanswered.filter((ended) => ended !== waited) });
        if (answer === 'answered' && now - waited.endedAt <= LATE_ANSWER_MS) say(msgId, 'late', 'answer', null, true);
      }
      sides.push(answerTakenWrite(userKey, msgId));
    };

    const settleItem = (msgId: string, consumed: boolean) => {
      const held = state.entries.find((entry) => entry.status === 'hold' && entry.item.msgId === msgId);
      if (held?.status === 'hold') {
        const ordinary: Entry[] = consumed ? [] : [{ status: 'undecided', item: { ...held.item, decidedBy: null } }];
        patch({ entries: state.entries.flatMap((entry) => (entry === held ? ordinary : [entry])) });
        decideEntries();
      } else if (!state.settlements.some((settlement) => settlement.msgId === msgId))
        patch({ settlements: [...state.settlements, { msgId, consumed }].slice(-KEPT_SETTLEMENTS) });
    };

    const lookAtClock = () => {
      const { turn } = state;
      if (turn?.deadline !== null && turn?.deadline !== undefined && turn.deadline <= now) {
        endTurn(turn, 'timeout');
        expectLateAnswer(turn);
      } else if (turn?.remindAt !== null && turn?.remindAt !== undefined && turn.remindAt <= now) {
        say(turn.msgId, 'stillThinking', 'courtesy', render('stillThinking'));
        patch({ turn: { ...turn, remindAt: null } });
      }
      if (!state.entries.some((entry) => entry.status === 'hold' && entry.askAt <= now)) return;
      const entries = state.entries.map((entry): Entry => {
        if (entry.status !== 'hold' || entry.askAt > now || entry.item.decidedBy === null) return entry;
        const { msgId, decidedBy, match } = entry.item;
        effects.push({ id: `${msgId}:ask:${entry.asked}`, kind: 'ask', msgId, decidedBy, match });
        const askDelayMs = Math.min(ASK_MAX_MS, entry.askDelayMs * 2);
        return { ...entry, askDelayMs, askAt: now + askDelayMs, asked: entry.asked + 1 };
      });
      patch({ entries });
    };

    switch (event.type) {
      case 'customer.item':
        takeItem(event.item);
        break;
      case 'item.settled':
        settleItem(event.msgId, event.consumed);
        break;
      case 'answer.stored':
        lookup = { kind: 'answer', msgId: event.msgId };
        break;
      case 'answer.found':
        takeAnswer(event.msgId, event.answer);
        break;
      case 'call.settled':
        takeCallOutcome(event.callId, event.outcome);
        break;
      case 'call.lost':
        if (state.turn && callOf(state)?.id === event.callId)
          patch({ turn: { ...state.turn, attempt: state.turn.attempt + 1, dispatchedAt: now } });
        break;
      case 'wake':
        lookAtClock();
        break;
      case 'destination.found':
        startTurn(event.destination);
        break;
    }
    // The next message's turn has come: binding and instance are read now, never earlier.
    if (!lookup && !state.turn && state.entries[0]?.status === 'accepted') lookup = { kind: 'destination' };
    return { state, effects, sides, ...(lookup ? { lookup } : {}) };
  };
}
