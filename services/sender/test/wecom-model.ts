// WeCom as far as a ledger meets it: five sends per message of the customer, msgids that are good for once.
import type { LedgerSettings, SendOutcome } from '../src/ledger/ledger-state.ts';

/** What WeCom's documents leave open. */
export interface Wecom {
  /** Which it looks at first: the msgid or the allowance. */
  checksFirst: 'msgid' | 'allowance';
  /** A refused send uses its msgid up. */
  burnsMsgids: boolean;
}

/** How a call ends. `busy`, `closed`, `misconfigured` and `blocked`: WeCom refuses it, whatever it is. */
export type Fate =
  | 'answered'
  | 'lost before'
  | 'lost behind'
  | 'crash before'
  | 'crash behind'
  | 'paused'
  | 'busy'
  | 'closed'
  | 'misconfigured'
  | 'blocked';

const refused = (errcode: number, kind: Extract<SendOutcome, { kind: 'refused' }>['class']): SendOutcome => ({
  kind: 'refused',
  errcode,
  class: kind,
  retryAfterMs: null,
});
export const refusals = {
  busy: refused(45033, 'retryable'),
  closed: refused(95018, 'waiting'),
  misconfigured: refused(60020, 'configuration'),
  blocked: refused(40201, 'permanent'),
};
export const unanswered = (isUnanswered: boolean): SendOutcome => ({
  kind: 'unanswered',
  isUnanswered,
  code: 'x',
  retryAfterMs: null,
});

/** WeCom for one user, with habits that its documents leave open. */
export function createWecom({ checksFirst, burnsMsgids }: Wecom, settings: LedgerSettings) {
  const usedMsgids = new Set<string>();
  let paidUntil = 0;
  let sendsLeft = 0;

  const refusalOf = (msgid: string, now: number): SendOutcome | null => {
    const checks = {
      msgid: () => (usedMsgids.has(msgid) ? refused(95033, 'permanent') : null),
      allowance: () =>
        now >= paidUntil ? refused(95002, 'waiting') : sendsLeft === 0 ? refused(95001, 'waiting') : null,
    };
    return checks[checksFirst]() ?? checks.msgid() ?? checks.allowance();
  };

  return {
    /** The customer writes. @param sendTime epoch s */
    renew(sendTime: number) {
      paidUntil = sendTime * 1000 + settings.windowMs;
      sendsLeft = settings.allowance;
    },
    /** A refusal, for whatever reason. */
    burn(msgid: string) {
      if (burnsMsgids) usedMsgids.add(msgid);
    },
    send(msgid: string, now: number): SendOutcome {
      const refusal = refusalOf(msgid, now);
      if (!refusal || burnsMsgids) usedMsgids.add(msgid);
      if (refusal) return refusal;
      sendsLeft--;
      return { kind: 'sent' };
    },
  };
}
