// The router's every decision about one user, as a pure reducer: state and event in, state and effects out.
import type { Decision, ReduceContext } from '@pipeline/mailbox';
import { countWaiting } from './admission.ts';
import { type ConversationDraft, draftFrom } from './conversation-draft.ts';
import type {
  BridgeCall,
  ConversationEvent,
  ConversationSettings,
  ConversationState,
  ConversationTypes,
} from './conversation-state.ts';
import { askAboutHolds, settleItem, takeItem } from './message-line.ts';
import { callIdOf, lookAtTurnClock, repeatCall, takeAnswer, takeCallOutcome } from './turn-end.ts';
import { startTurn } from './turn-start.ts';

export type ConversationDecision = Decision<ConversationTypes>;

/** The call that a conversation has open. */
export function callOf({ turn }: ConversationState): BridgeCall | null {
  if (turn?.phase !== 'dispatching') return null;
  return { id: callIdOf(turn), startedAt: turn.dispatchedAt, turn };
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
 * what the user sees as it is.
 */
export function createConversationReducer(settings: ConversationSettings) {
  return (before: ConversationState, event: ConversationEvent, context: ReduceContext): ConversationDecision => {
    const draft = draftFrom(before, context, settings);
    applyEvent(draft, event);
    const { state } = draft;
    const effects = draft.effects.map((effect) =>
      effect.kind === 'text' ? { ...effect, expected: countExpected(state) } : effect,
    );
    let { lookup } = draft;
    // The next message's turn has come: binding and instance are read now, never earlier.
    if (!lookup && !context.isHeldUp && !state.turn && state.entries[0]?.status === 'accepted')
      lookup = { kind: 'destination' };
    return { state, effects, sideWrites: [], ...(lookup ? { lookup } : {}) };
  };
}

/** How many answers the user is owed: of the turn that runs and of those that wait. */
const countExpected = ({ turn, entries }: ConversationState): number => (turn ? 1 : 0) + countWaiting(entries);

function applyEvent(draft: ConversationDraft, event: ConversationEvent) {
  switch (event.type) {
    case 'customer.item':
      return takeItem(draft, event.item);
    case 'item.settled':
      return settleItem(draft, event.msgId, event.consumed);
    case 'destination.found':
      return startTurn(draft, event.destination);
    case 'call.settled':
      return takeCallOutcome(draft, event.callId, event.outcome);
    case 'call.lost':
      return repeatCall(draft, event.callId);
    case 'bridge.answered':
      return takeAnswer(draft, event.answer);
    case 'wake':
      lookAtTurnClock(draft);
      return askAboutHolds(draft);
  }
}
