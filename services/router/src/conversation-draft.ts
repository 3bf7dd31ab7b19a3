// What one event adds up to while the conversation decides: the new state and all that is to be done once it is saved.
import type { Renewal, TextKind } from '@pipeline/contracts';
import type { ReduceContext } from '@pipeline/mailbox';
import { type Answer, type SideWrite, taskStartedWrite } from '@pipeline/store';
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
    sides: [] as SideWrite[],
    lookup: undefined as ConversationLookup | undefined,

    patch(fields: Partial<ConversationState>) {
      draft.state = { ...draft.state, ...fields };
    },
    /** The turn's POST is open from now on; its task is written along with it. */
    dispatch(turn: Omit<Turn, 'phase' | 'dispatchedAt'>) {
      const { msgId, instanceId, instanceName, serverHost, hostPort } = turn;
      draft.patch({ turn: { ...turn, phase: 'dispatching', dispatchedAt: now } });
      const copied = { instanceId, instanceName, serverHost, hostPort };
      draft.sides.push(taskStartedWrite({ userKey, msgId, ...copied, startedAt: now }));
    },
    /**
     * A text for the user.
     * @param key with the msgId, the text's id
     * @param content null: the answer that stands on the task
     */
    say(
      msgId: string,
      key: string,
      textKind: TextKind,
      content: string | null,
      marks: { isLate?: true; arriving?: Answer; renewal?: Renewal } = {},
    ) {
      draft.effects.push({ id: `${msgId}:${key}`, kind: 'text', textKind, msgId, content, decidedAt: now, ...marks });
    },
    /** Noted on the task after the text is out: nobody waits for it. @param endedBy null: its turn ended before */
    closeTask(msgId: string, endedBy: string | null, isAnswerTaken: boolean) {
      const id = `${msgId}:closed-${endedBy ?? 'late'}`;
      draft.effects.push({ id, kind: 'close-task', msgId, endedBy, endedAt: now, isAnswerTaken });
    },
  };
  return draft;
}
