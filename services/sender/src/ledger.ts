// The sender's every decision about one user, as a pure reducer: what to send next, and what became of it.
import type { Decision, ReduceContext } from '@pipeline/mailbox';
import { type Delivery, deliveryMsgidWrite, deliveryWrite, type SideWrite } from '@pipeline/store';
import { affordable, hasRoomForMore, makeRoomForMore, sentContent } from './affordable.ts';
import { refund, remainingAt, renew, spend } from './allowance.ts';
import { cleanText } from './clean-text.ts';
import type {
  Attempt,
  LedgerEffect,
  LedgerEvent,
  LedgerLookup,
  LedgerSettings,
  LedgerState,
  QueuedText,
  SendCall,
  SendOutcome,
} from './ledger-state.ts';
import { findPart, msgidOf } from './msgid.ts';
import { toParts } from './text-parts.ts';

const KEPT_SETTLEMENTS = 16;
const KEPT_FAILURES = 50;
const COURTESY_MAX_AGE_MS = 60_000;
const RETRY_FIRST_MS = 1_000;
const RETRY_MAX_MS = 60_000;
const CONFIGURATION_RETRY_MS = 30_000;
/** A part refused as duplicate under this many msgids is given up. */
const MAX_GENERATION = 8;
const MAX_REPORTED_FAILURES = 3;
/** fail_type of msg_send_fail that the user's next message cures. */
const CURED_BY_NEXT_MESSAGE = new Set([0, 4, 5, 6, 11]);
const DUPLICATE_MSGID = 95033;

export type LedgerDecision = Decision<LedgerState, LedgerEffect, LedgerLookup>;

/** The send that a ledger has open: named by its msgid and the count of its tries. */
export function callOf({ attempt, queue }: LedgerState): SendCall | null {
  if (!attempt || attempt.retryAt !== null) return null;
  const inline = attemptedText(queue, attempt)?.inline ?? null;
  const content = inline === null ? null : sentContent(inline, attempt.withMore);
  return { id: `${attempt.msgid}#${attempt.tries}`, startedAt: attempt.startedAt, attempt, content };
}

const attemptedText = (queue: readonly QueuedText[], attempt: Attempt) =>
  queue.find(({ textId, next }) => textId === attempt.textId && next === attempt.part);

/** The earliest due time: a retry, courtesy grown stale, or the end of what waits for the user. */
export function createDueAt(settings: LedgerSettings) {
  return ({ attempt, queue }: LedgerState): number | null => {
    if (attempt) return attempt.retryAt;
    const [head] = queue;
    return head?.waitingSince == null ? null : head.waitingSince + settings.windowMs;
  };
}

/** Builds the reducer for given settings. Events that are redelivered or about something settled change nothing. */
export function createLedgerReducer(settings: LedgerSettings) {
  return (before: LedgerState, event: LedgerEvent, { now, userKey }: ReduceContext): LedgerDecision => {
    let state = before;
    const effects: LedgerEffect[] = [];
    const sides: SideWrite[] = [];
    const counts: string[] = [];
    let lookup: LedgerLookup | undefined;
    const patch = (fields: Partial<LedgerState>) => {
      state = { ...state, ...fields };
    };
    const patchText = (text: QueuedText, fields: Partial<QueuedText>) =>
      patch({ queue: state.queue.map((queued) => (queued === text ? { ...queued, ...fields } : queued)) });
    const remove = (text: QueuedText) => patch({ queue: state.queue.filter((queued) => queued !== text) });
    const drop = (text: QueuedText, why: string) => {
      counts.push(`${text.kind}-${why}`);
      remove(text);
    };
    const deadLetter = (text: QueuedText, code: string, reason: string) => {
      const { textId, msgId, next } = text;
      effects.push({ id: `${textId}:${next}:dead`, kind: 'dead-letter', textId, msgId, code, reason });
      drop(text, 'dead-lettered');
    };

    const begin = (text: QueuedText, withMore: boolean) => {
      const { textId, next: part, generation } = text;
      const msgid = msgidOf(userKey, textId, part, generation);
      if (generation > 0) sides.push(deliveryMsgidWrite(userKey, textId, msgid));
      const attempt: Attempt = {
        textId,
        part,
        generation,
        msgid,
        tries: 1,
        begunAt: now,
        startedAt: now,
        retryAt: null,
        isUnanswered: false,
        renewals: state.allowance.renewals,
        withMore,
      };
      patchText(text, { waitingSince: null });
      patch({ attempt, allowance: spend(state.allowance, now) });
    };

    /** Begins the next send, if one is affordable. @param found the delivery of the head, when it had to be read */
    const advance = (found?: { textId: string; delivery: Delivery | null }) => {
      for (let [head] = state.queue; head && !state.attempt; [head] = state.queue) {
        const remaining =
          head.afterRenewal >= state.allowance.renewals ? 0 : remainingAt(state.allowance, now, settings);
        const isStale = head.kind === 'courtesy' && now - head.decidedAt > COURTESY_MAX_AGE_MS;
        const verdict = isStale ? 'stale' : affordable(head, state.queue.slice(1), remaining, settings);
        if (verdict === 'stale' || verdict === 'unaffordable') {
          drop(head, verdict === 'stale' ? 'stale' : 'skipped');
          continue;
        }
        if (verdict === 'wait') {
          if (head.waitingSince === null) patchText(head, { waitingSince: now });
          // Only answers wait.
          for (const text of state.queue) if (text.kind !== 'answer') drop(text, 'skipped');
          return;
        }
        if (verdict === 'send') return begin(head, false);
        if (head.inline !== null && hasRoomForMore(head.inline)) return begin(head, true);
        // Bytes that WeCom may have seen aren't split anew: then it goes without `more` if that doesn't fit.
        const wasAttempted = head.generation > 0;
        if (head.inline !== null && wasAttempted) return begin(head, false);
        if (found?.textId !== head.textId) {
          lookup = { kind: 'delivery', textId: head.textId };
          return;
        }
        if (!found.delivery) {
          deadLetter(head, 'delivery-missing', 'the text is no longer stored');
          continue;
        }
        const { source, parts, msgids } = found.delivery;
        const part = parts[head.next]?.content ?? '';
        if (wasAttempted || hasRoomForMore(part)) return begin(head, hasRoomForMore(part));
        const { msgId, textId, kind } = head;
        const roomy = makeRoomForMore(source, parts, head.next);
        const known = allMsgids(textId, roomy.length, msgids);
        sides.push(deliveryWrite({ userKey, textId, msgId, kind, source, parts: roomy, msgids: known }));
        patchText(head, { parts: roomy.length, inline: null });
        const [patched] = state.queue;
        if (patched) begin(patched, true);
        return;
      }
    };
    const allMsgids = (textId: string, parts: number, known: readonly string[] = []) => [
      ...new Set([...known, ...Array.from({ length: parts }, (_, part) => msgidOf(userKey, textId, part, 0))]),
    ];

    const takeText = (textEvent: Extract<LedgerEvent, { type: 'text' }>) => {
      const { textId, msgId, kind, decidedAt, content } = textEvent.text;
      const source = cleanText(content);
      const parts = toParts(source, { text: source, fence: null });
      sides.push(
        deliveryWrite({ userKey, textId, msgId, kind, source, parts, msgids: allMsgids(textId, parts.length) }),
      );
      if (kind === 'answer') dropCourtesyOf(msgId);
      const inline = parts.length === 1 ? (parts[0]?.content ?? null) : null;
      const text = { textId, msgId, kind, decidedAt, parts: parts.length, next: 0, generation: 0, inline };
      patch({ queue: [...state.queue, { ...text, waitingSince: null, afterRenewal: -1 }] });
    };

    /** Courtesy about a message whose answer is here says nothing any more, unless it is just being sent. */
    const dropCourtesyOf = (msgId: string) => {
      for (const text of state.queue) {
        if (text.kind !== 'courtesy' || text.msgId !== msgId) continue;
        const isAttempted = state.attempt?.textId === text.textId;
        if (isAttempted && state.attempt?.retryAt === null) continue;
        if (isAttempted) patch({ attempt: null });
        drop(text, 'overtaken');
      }
    };

    const takeItem = (itemEvent: Extract<LedgerEvent, { type: 'customer.item' }>) => {
      const { msgId, sendTime, decidedBy } = itemEvent.item;
      if (decidedBy === 'sender') {
        const consumed = state.queue.some(({ waitingSince }) => waitingSince !== null);
        patch({ settlements: [...state.settlements, { msgId, consumed }].slice(-KEPT_SETTLEMENTS) });
        effects.push({ id: `${msgId}:settled`, kind: 'settled', msgId, consumed });
      }
      const allowance = renew(state.allowance, sendTime, settings);
      if (allowance === state.allowance) return;
      patch({ allowance, queue: state.queue.map((text) => ({ ...text, waitingSince: null })) });
    };

    const takeOutcome = (callId: string, outcome: SendOutcome) => {
      const { attempt } = state;
      const text = attempt && attemptedText(state.queue, attempt);
      // An answer to any try of this msgid tells what WeCom has; a failure counts only for the present one.
      if (!attempt || !text || !callId.startsWith(`${attempt.msgid}#`)) return;
      const isPresent = callId === callOf(state)?.id;
      if (outcome.kind === 'sent') return partDone(text);
      if (!isPresent) return;
      const retry = (afterMs: number | null, isUnanswered: boolean) =>
        patch({
          attempt: {
            ...attempt,
            isUnanswered: attempt.isUnanswered || isUnanswered,
            retryAt: now + (afterMs ?? Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** Math.min(attempt.tries - 1, 10))),
          },
        });
      if (outcome.kind === 'unanswered') return retry(outcome.retryAfterMs, outcome.isUnanswered);
      if (outcome.errcode === DUPLICATE_MSGID)
        return attempt.isUnanswered ? partDone(text) : nextGeneration(text, false);
      if (outcome.class === 'waiting') return waitForUser(text);
      if (outcome.class === 'retryable') return retry(outcome.retryAfterMs, false);
      if (outcome.class === 'configuration') return retry(outcome.retryAfterMs ?? CONFIGURATION_RETRY_MS, false);
      endAttempt(false);
      deadLetter(text, `wecom-${outcome.errcode}`, 'WeCom refuses this text for good');
    };

    /** The attempt was refused: it cost nothing. */
    const endAttempt = (isExhausted: boolean) => {
      const { attempt, allowance } = state;
      if (!attempt) return;
      const begun = { at: attempt.begunAt, renewals: attempt.renewals };
      patch({ attempt: null, allowance: refund(allowance, begun, isExhausted, settings) });
    };
    const nextGeneration = (text: QueuedText, isExhausted: boolean) => {
      endAttempt(isExhausted);
      if (text.generation >= MAX_GENERATION) return deadLetter(text, 'wecom-95033', 'every msgid is taken');
      patchText(text, { generation: text.generation + 1 });
    };
    const waitForUser = (text: QueuedText) => {
      counts.push('allowance-refused');
      if (text.kind === 'answer') return nextGeneration(text, true);
      endAttempt(true);
      drop(text, 'refused');
    };
    const partDone = (text: QueuedText) => {
      patch({ attempt: null });
      counts.push(`${text.kind}-sent`);
      if (text.next + 1 >= text.parts) remove(text);
      else patchText(text, { next: text.next + 1, generation: 0 });
    };

    /** WeCom had accepted a part and now says that it wasn't delivered. */
    const takeReportedFailure = (found: Extract<LedgerEvent, { type: 'failed-part.found' }>) => {
      const { delivery, failure } = found;
      if (!delivery) return;
      const { textId, msgId, parts } = delivery;
      const place = findPart(userKey, textId, parts.length, failure.failMsgid);
      if (!place) return;
      const { part, generation } = place;
      const earlier = state.failures.find((known) => known.textId === textId && known.part === part);
      if (earlier && generation <= earlier.generation) return; // reported again
      const count = (earlier?.count ?? 0) + 1;
      patch({
        failures: [...state.failures.filter((known) => known !== earlier), { textId, part, generation, count }].slice(
          -KEPT_FAILURES,
        ),
      });
      counts.push('failure-reported');
      const { kind } = delivery as { kind: QueuedText['kind'] };
      const content = parts[part]?.content ?? null;
      const again: QueuedText = {
        textId,
        msgId,
        kind,
        decidedAt: now,
        parts: part + 1,
        next: part,
        generation: generation + 1,
        inline: content,
        waitingSince: now,
        afterRenewal: state.allowance.renewals,
      };
      if (kind !== 'answer') return void counts.push(`${kind}-failed`);
      if (!CURED_BY_NEXT_MESSAGE.has(failure.failType) || count >= MAX_REPORTED_FAILURES)
        return deadLetter(again, `fail-type-${failure.failType}`, 'WeCom could not deliver this part');
      // Before anything not yet accepted, behind parts that failed earlier.
      const attempted = state.attempt?.textId;
      const index = state.queue.findLastIndex((text) => text.afterRenewal >= 0 || text.textId === attempted) + 1;
      patch({ queue: state.queue.toSpliced(index, 0, again) });
    };

    const lookAtClock = () => {
      const { attempt } = state;
      if (attempt?.retryAt != null && attempt.retryAt <= now) {
        const text = attemptedText(state.queue, attempt);
        if (text?.kind === 'courtesy' && now - text.decidedAt > COURTESY_MAX_AGE_MS) {
          patch({ attempt: null });
          drop(text, 'stale');
        } else patch({ attempt: { ...attempt, retryAt: null, tries: attempt.tries + 1, startedAt: now } });
      }
      for (const text of state.queue)
        if (text.waitingSince !== null && text.waitingSince + settings.windowMs <= now)
          deadLetter(text, 'wait-expired', 'the user did not write again in time');
    };

    switch (event.type) {
      case 'customer.item':
        takeItem(event);
        break;
      case 'text':
        takeText(event);
        break;
      case 'msg_send_fail':
        lookup = { kind: 'failed-part', failure: event.failure };
        break;
      case 'failed-part.found':
        takeReportedFailure(event);
        break;
      case 'settlement.asked': {
        const known = state.settlements.find(({ msgId }) => msgId === event.msgId);
        const consumed = known?.consumed ?? false;
        effects.push({ id: `${event.id}:settled`, kind: 'settled', msgId: event.msgId, consumed });
        break;
      }
      case 'call.settled':
        takeOutcome(event.callId, event.outcome);
        break;
      case 'call.lost':
        if (state.attempt && callOf(state)?.id === event.callId)
          patch({ attempt: { ...state.attempt, tries: state.attempt.tries + 1, startedAt: now, isUnanswered: true } });
        break;
      case 'wake':
        lookAtClock();
        break;
      case 'delivery.found':
        break;
    }
    if (!lookup) advance(event.type === 'delivery.found' ? event : undefined);
    return { state, effects, sides, counts, ...(lookup ? { lookup } : {}) };
  };
}
