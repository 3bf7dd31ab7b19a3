// What the router remembers of one user, and what can happen to them.
import type { BridgeAnswered, CustomerItem, Renewal, TextKind } from '@pipeline/contracts';
import type { ActorTypes } from '@pipeline/mailbox';
import type { TextKey } from '@pipeline/texts';

/** A message in the user's line, in WeCom's order. The running one is not in it. */
export type Entry =
  /** Counted and waiting for its turn. */
  | { status: 'accepted'; msgId: string; text: string; renewal: Renewal }
  /** Stands behind a hold: not judged yet. */
  | { status: 'undecided'; item: CustomerItem }
  /** Somebody else decides what it is; what follows waits for that. */
  | { status: 'hold'; item: CustomerItem; askAt: number; askDelayMs: number; asked: number };

export interface Turn {
  msgId: string;
  prompt: string;
  instanceId: string;
  instanceName: string;
  serverHost: string;
  hostPort: number;
  /** `dispatching`: the POST is open. `waiting`: the bridge has acked, its answer is awaited. */
  phase: 'dispatching' | 'waiting';
  /** Counts POSTs: more than one only after the partition changed hands. */
  attempt: number;
  /** When the present POST began, epoch ms. */
  dispatchedAt: number;
  /** When `stillThinking` is due; null once sent. */
  remindAt: number | null;
  /** When the turn ends as timed out; null until the ack is stored. */
  deadline: number | null;
}

export interface ConversationState {
  turn: Turn | null;
  entries: Entry[];
  /** send_time (epoch s) of the messages accepted lately: the rate limit's window. */
  accepted: number[];
  /** Settlements that came before their item. */
  settlements: { msgId: string; consumed: boolean }[];
  /** Turns that reached the bridge and ended without its answer: a first answer within a day is late, not lost. */
  unanswered: { msgId: string; endedAt: number }[];
}

export interface ConversationSettings {
  rateLimitPerMinute: number;
  queueMaxDepth: number;
  callbackTimeoutMs: number;
  thinkingReminderMs: number;
}

/** How a call to the bridge went. `text` names the reply for anything but an ack. */
export type BridgeOutcome = { kind: 'acked' } | { kind: 'ended'; text: FailureText };
export type FailureText = Extract<
  TextKey,
  'timeout' | 'bridgeRestarting' | 'bridgeRefused' | 'disconnected' | 'aborted' | 'shuttingDown' | 'failed'
>;

/** The user's binding and instance as they are when a turn starts. */
export interface Destination {
  isBound: boolean;
  instance: { id: string; name: string; status: string; serverHost: string; hostPort: number } | null;
}

export type ConversationEvent =
  | { type: 'customer.item'; id: string; item: CustomerItem }
  | { type: 'item.settled'; id: string; msgId: string; consumed: boolean }
  | { type: 'bridge.answered'; id: string; answer: BridgeAnswered }
  | { type: 'call.settled'; id: string; callId: string; outcome: BridgeOutcome }
  | { type: 'call.lost'; id: string; callId: string }
  | { type: 'wake'; id: string }
  // A fact read on the reducer's demand.
  | { type: 'destination.found'; id: string; destination: Destination };

export type ConversationLookup = { kind: 'destination' };

/** What follows the save. */
export type ConversationEffect =
  | {
      id: string;
      kind: 'text';
      textKind: TextKind;
      msgId: string;
      /** Null in effects of an earlier version: the answer stands on its task. */
      content: string | null;
      /** Tells the sender of the message, too. */
      renewal?: Renewal;
      /** How many answers are still to come; effects stored earlier don't say. */
      expected?: number;
      decidedAt: number;
    }
  | { id: string; kind: 'ask'; msgId: string; decidedBy: 'binder' | 'sender'; match: CustomerItem['match'] };

/** The bridge call that a state has open. */
export interface BridgeCall {
  id: string;
  startedAt: number;
  turn: Turn;
}

/** What the router's actors are made of. */
export interface ConversationTypes extends ActorTypes {
  state: ConversationState;
  event: ConversationEvent;
  effect: ConversationEffect;
  call: BridgeCall;
  lookup: ConversationLookup;
}

export const emptyConversation = (): ConversationState => ({
  turn: null,
  entries: [],
  accepted: [],
  settlements: [],
  unanswered: [],
});
