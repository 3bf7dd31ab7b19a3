// What the sender remembers of one user at one KF account, and what can happen to them.
import type { CustomerItem, MsgSendFail, Text, TextKind } from '@pipeline/contracts';
import type { ActorTypes } from '@pipeline/mailbox';
import type { NewStoredText } from '@pipeline/store';

/** A text that isn't through yet. Its bytes are in `deliveries`. */
export interface QueuedText {
  textId: string;
  msgId: string;
  kind: TextKind;
  decidedAt: number;
  parts: number;
  /** Index of the part to be sent next. */
  next: number;
  /** Generation of that part: a new one means a new msgid. */
  generation: number;
  /** Tries under that msgid in an earlier attempt, when one of them had no answer; else 0. */
  triesBefore: number;
  /** msgids in a row that WeCom said it had, though nothing was sent under them. */
  rejectedMsgids: number;
  /** The text itself if it is a single part: saves a read. */
  inline: string | null;
  /** It is stored in `deliveries`. A text of a single part stands here first and is stored once it leaves the queue. */
  isStored: boolean;
  /** Since when it waits for the user's next message, epoch ms; null while it doesn't. */
  waitingSince: number | null;
  /** Waits at least until the renewals counted in the ledger exceed this. */
  afterRenewal: number;
}

/** One part offered to WeCom, until its fate is known. */
export interface Attempt {
  textId: string;
  part: number;
  generation: number;
  /** WeCom's msgid for this part and generation. */
  msgid: string;
  /** Times this msgid was offered. */
  tries: number;
  /** When the first try began, epoch ms. */
  begunAt: number;
  /** When the present try began, epoch ms. */
  startedAt: number;
  /** When to offer it again; null while a try is under way. */
  retryAt: number | null;
  /** Some try got no answer: a "duplicate msgid" then means that it was delivered. */
  isUnanswered: boolean;
  /** Renewals counted when the first try began. */
  renewals: number;
  /** The last affordable send, while something waits behind it or is still expected: `more` stands at its end. */
  withMore: boolean;
}

export interface Allowance {
  /** send_time (epoch s) of the newest customer message counted; null before the first. */
  sendTime: number | null;
  /** When ingest had got it, epoch ms: a send begun later came after it, whatever the clocks say. */
  receivedAt: number;
  /** Sends left of it. */
  remaining: number;
  /** Messages of that very second which have renewed it: each does so once, whoever tells of it how often. */
  renewedBy?: string[];
  /** How many customer messages have renewed it. */
  renewals: number;
  /** When the last sends began, epoch ms: what a renewal must not count twice. */
  begun: number[];
}

export interface LedgerState {
  /** In the order decided. */
  queue: QueuedText[];
  attempt: Attempt | null;
  allowance: Allowance;
  /** How many answers are still to come, by the last text that told. Ledgers stored earlier don't know. */
  expected?: number;
  /** The last part that WeCom accepted ended with `more`. */
  hasSaidMore?: boolean;
  /** `<kind>:<msgid>` of the notices and courtesy last accepted: nothing else is kept of them. */
  recentlySent: string[];
  /** Parts that WeCom reported as failed after accepting them. */
  failures: { textId: string; part: number; generation: number; count: number }[];
  /** What became of items that we decide. */
  settlements: { msgId: string; consumed: boolean }[];
}

export interface LedgerSettings {
  /** Sends per customer message. */
  allowance: number;
  /** Sends that courtesy must leave. */
  reserve: number;
  /** How long after a customer message we may send. */
  windowMs: number;
}

/** How a send_msg went. */
export type SendOutcome =
  | { kind: 'sent' }
  | {
      kind: 'refused';
      errcode: number;
      class: 'retryable' | 'waiting' | 'configuration' | 'permanent';
      retryAfterMs: number | null;
    }
  /** Nothing was offered: the bytes are gone. */
  | { kind: 'missing' }
  /** No valid answer. `isUnanswered`: WeCom may have it all the same. */
  | { kind: 'unanswered'; isUnanswered: boolean; code: string; retryAfterMs: number | null };

export type LedgerEvent =
  | { type: 'customer.item'; id: string; item: CustomerItem }
  | { type: 'text'; id: string; text: Text }
  | { type: 'msg_send_fail'; id: string; failure: MsgSendFail }
  | { type: 'settlement.asked'; id: string; msgId: string }
  | { type: 'call.settled'; id: string; callId: string; outcome: SendOutcome }
  | { type: 'call.lost'; id: string; callId: string }
  | { type: 'wake'; id: string }
  // Facts read on the reducer's demand.
  | { type: 'stored-text.found'; id: string; textId: string; stored: NewStoredText | null }
  | { type: 'failed-part.found'; id: string; failure: MsgSendFail; stored: NewStoredText | null };

export type LedgerLookup = { kind: 'stored-text'; textId: string } | { kind: 'failed-part'; failure: MsgSendFail };

export type LedgerEffect =
  | { id: string; kind: 'settled'; msgId: string; consumed: boolean }
  | {
      id: string;
      kind: 'dead-letter';
      textId: string;
      msgId: string;
      textKind: TextKind;
      /** Given up from this part on, up to `parts`. */
      next: number;
      parts: number;
      code: string;
      reason: string;
    };

/** The send_msg that a state has open. */
export interface SendCall {
  id: string;
  startedAt: number;
  attempt: Attempt;
  content: string | null;
}

/** What the sender's actors are made of. */
export interface LedgerTypes extends ActorTypes {
  state: LedgerState;
  event: LedgerEvent;
  effect: LedgerEffect;
  call: SendCall;
  lookup: LedgerLookup;
}

export const emptyLedger = (): LedgerState => ({
  queue: [],
  attempt: null,
  allowance: { sendTime: null, receivedAt: 0, remaining: 0, renewals: 0, begun: [] },
  recentlySent: [],
  failures: [],
  settlements: [],
});
