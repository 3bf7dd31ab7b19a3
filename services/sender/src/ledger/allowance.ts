// WeCom's five sends per customer message, counted without asking WeCom.
import { originalId } from '@pipeline/store';
import type { Allowance, LedgerSettings } from './ledger-state.ts';

/** send_time is in whole seconds, and clocks differ: a send that began within this of it is given the benefit of doubt. */
const DOUBT_MS = 1_000 + 2_000;
/** So many sends are remembered, or as many as one allowance pays for: a renewal must forget none of them. */
const KEPT_BEGUN = 16;

const isAfter = (begunAt: number, { sendTime, receivedAt }: Pick<Allowance, 'sendTime' | 'receivedAt'>): boolean =>
  sendTime !== null && begunAt > Math.min(sendTime * 1000 + DOUBT_MS, receivedAt);

/** Sends left now: none once the window after the last customer message has passed. */
export function remainingAt(allowance: Allowance, now: number, settings: LedgerSettings): number {
  if (allowance.sendTime === null || now - allowance.sendTime * 1000 >= settings.windowMs) return 0;
  return allowance.remaining;
}

/** A customer message opens a new allowance, less what we know to have begun after it. A message that is known changes nothing. */
export function renew(
  allowance: Allowance,
  message: { msgId: string; sendTime: number; receivedAt: number },
  settings: LedgerSettings,
): Allowance {
  const { sendTime, receivedAt } = message;
  const msgId = originalId(message.msgId);
  const ofThatSecond = sendTime === allowance.sendTime ? (allowance.renewedBy ?? []) : [];
  if (ofThatSecond.includes(msgId) || (allowance.sendTime !== null && sendTime < allowance.sendTime)) return allowance;
  const begunAfter = allowance.begun.filter((begunAt) => isAfter(begunAt, message)).length;
  return {
    ...allowance,
    sendTime,
    receivedAt,
    renewedBy: [...ofThatSecond, msgId],
    remaining: Math.max(0, settings.allowance - begunAfter),
    renewals: allowance.renewals + 1,
  };
}

/** A send has begun. */
export function spend(allowance: Allowance, now: number, settings: LedgerSettings): Allowance {
  return {
    ...allowance,
    remaining: Math.max(0, allowance.remaining - 1),
    begun: [...allowance.begun, now].slice(-Math.max(KEPT_BEGUN, settings.allowance)),
  };
}

/** WeCom accepted a try that began after a renewal, the send's first try before it: only the new allowance paid for it. */
export function spendRetried(
  allowance: Allowance,
  begunAt: number,
  startedAt: number,
  settings: LedgerSettings,
): Allowance {
  const isCounted = isAfter(begunAt, allowance) || !isAfter(startedAt, allowance);
  return isCounted || startedAt === begunAt ? allowance : spend(allowance, startedAt, settings);
}

/** WeCom refused that send: it cost nothing. `isExhausted`: and says that nothing is left of what it was begun under. */
export function refund(
  allowance: Allowance,
  begun: { at: number; renewals: number },
  isExhausted: boolean,
  settings: LedgerSettings,
): Allowance {
  const isSameAllowance = begun.renewals === allowance.renewals;
  const isCounted = isSameAllowance || isAfter(begun.at, allowance);
  const remaining = isCounted ? allowance.remaining + 1 : allowance.remaining;
  const index = allowance.begun.indexOf(begun.at);
  return {
    ...allowance,
    begun: allowance.begun.filter((_, i) => i !== index),
    remaining: isExhausted && isSameAllowance ? 0 : Math.min(settings.allowance, remaining),
  };
}
