// What one event adds up to while the conversation decides: the new state and all that is to be done once it is saved.
import type { Renewal, TextKind } from '@pipeline/contracts';
import type { ReduceContext } from '@pipeline/mailbox';
import type {
  ConversationEffect,
  ConversationLookup,
  ConversationSettings,
  ConversationState,
  Turn,
} from './conversation-state.ts';

export type ConversationDraft = ReturnType<typeof draftFrom>;

/** A draft that begins with the state before the event. */
export function draftFrom(before: ConversationState, { now, userKey }: ReduceContext, settings: ConversationSettings) {
  const draft = {
    now,
    userKey,
    settings,
    state: before,
    effects: [] as ConversationEffect[],
    lookup: undefined as ConversationLookup | undefined,

    patch(fields: Partial<ConversationState>) {
      draft.state = { ...draft.state, ...fields };
    },
    /** The turn's POST is open from now on. */
    dispatch(turn: Omit<Turn, 'phase' | 'dispatchedAt'>) {
      draft.patch({ turn: { ...turn, phase: 'dispatching', dispatchedAt: now } });
    },
    /** A text for the user. @param key with the msgId, the text's id */
    say(msgId: string, key: string, textKind: TextKind, content: string, renewal?: Renewal) {
      const text = { id: `${msgId}:${key}`, kind: 'text' as const, textKind, msgId, content, decidedAt: now };
      draft.effects.push(renewal ? { ...text, renewal } : text);
    },
  };
  return draft;
}
