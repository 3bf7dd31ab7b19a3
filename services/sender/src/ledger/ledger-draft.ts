// What one event adds up to while the ledger decides: the new state and all that is to be done once it is saved.
import type { ReduceContext } from '@pipeline/mailbox';
import type { ErrorCode } from '@pipeline/runtime';
import { originalId, replayId, replayNumber, type SideWrite, storedTextWrite } from '@pipeline/store';
import type { Attempt, LedgerEffect, LedgerLookup, LedgerSettings, LedgerState, QueuedText } from './ledger-state.ts';
import { unstoredText } from './unstored-text.ts';

export type LedgerDraft = ReturnType<typeof draftFrom>;

/** A draft that begins with the state before the event. */
export function draftFrom(before: LedgerState, { now, userKey }: ReduceContext, settings: LedgerSettings) {
  const draft = {
    now,
    userKey,
    settings,
    state: inPresentForm(before),
    effects: [] as LedgerEffect[],
    sideWrites: [] as SideWrite[],
    counts: [] as string[],
    lookup: undefined as LedgerLookup | undefined,

    patch(fields: Partial<LedgerState>) {
      draft.state = { ...draft.state, ...fields };
    },
    patchText(text: QueuedText, fields: Partial<QueuedText>) {
      draft.patch({ queue: draft.state.queue.map((queued) => (queued === text ? { ...queued, ...fields } : queued)) });
    },
    /** What may be asked for once it has left the queue: by a report of its failure, or for a replay. */
    store(text: QueuedText) {
      const unstored = unstoredText(userKey, text);
      if (unstored) draft.sideWrites.push(storedTextWrite(unstored));
    },
    remove(text: QueuedText) {
      draft.patch({ queue: draft.state.queue.filter((queued) => queued !== text) });
    },
    /** It will never be sent; `why` is for the metrics. */
    drop(text: QueuedText, why: string) {
      draft.counts.push(`${text.kind}-${why}`);
      draft.remove(text);
    },
    /** What is left of it can't be delivered: kept with its reason. */
    deadLetter(text: QueuedText, code: ErrorCode, reason: string) {
      draft.store(text);
      const { textId, msgId, kind: textKind, next, parts } = text;
      const left = { textId, msgId, textKind, next, parts };
      draft.effects.push({ id: deadLetterId(textId, next), kind: 'dead-letter', ...left, code, reason });
      draft.drop(text, 'dead-lettered');
    },
  };
  return draft;
}

/** Ledgers of earlier versions name some fields otherwise, or have none. */
function inPresentForm(ledger: LedgerState): LedgerState {
  if (ledger.recentlySent) return ledger;
  const { passed = [], ...rest } = ledger as LedgerState & { passed?: unknown[] };
  const queue = rest.queue.map((text) => {
    const { burned = 0, ...queued } = text as QueuedText & { burned?: number };
    return { ...queued, rejectedMsgids: burned };
  });
  return { ...rest, queue, recentlySent: passed.filter((one) => typeof one === 'string') };
}

/** The text that an attempt is about. */
export const attemptedText = (queue: readonly QueuedText[], attempt: Attempt): QueuedText | undefined =>
  queue.find(({ textId, next }) => textId === attempt.textId && next === attempt.part);

/** `<text>#<part>`, the part counted in the text's first life: a replay that dies is again the letter that it was made from. */
function deadLetterId(textId: string, next: number): string {
  const replay = replayNumber(textId);
  const [, text = originalId(textId), from = '0'] = (replay > 0 && /^(.*)#(\d+)$/s.exec(originalId(textId))) || [];
  const id = `${text}#${Number(from) + next}`;
  return replay > 0 ? replayId(id, replay) : id;
}
