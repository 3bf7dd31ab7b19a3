// Bench: what the processes tell each other about messages, turns and time.

/** One message of a customer. Times in epoch ms of this machine. */
export interface AskedTurn {
  user: string;
  msgid: string;
  /** Unique; the bridge's answer repeats it. */
  prompt: string;
  /** When it was to be written, whether or not the machine was able to: latencies count from here. */
  intendedAt: number;
  /** When its answer was accepted by WeCom; null: not yet. */
  answeredAt: number | null;
}

/** What the customers are told to do. */
export type CustomerCommand =
  /** Each user writes the next message when the answer is there, until `stop`. */
  | { kind: 'closed'; users: string[] }
  /** Messages at random moments (Poisson), `perSecond` on average, users in turns, whatever becomes of the answers. */
  | { kind: 'open'; users: string[]; perSecond: number; count: number; seed: number; mark: string }
  /** Everybody writes at most `perSecond` messages; nobody waits for an answer. */
  | { kind: 'write'; users: string[]; perSecond: number; mark: string }
  /** Ends `closed`; then all that was asked is told, once it is answered or no answer has come for `withinMs`. */
  | { kind: 'collect'; withinMs: number };

/** What the bridge's process is told: where callbacks go, one after the other, as behind a gateway. Empty: where they say. */
export type BridgeCommand = { kind: 'spread'; origins: string[] };

export const now = () => performance.timeOrigin + performance.now();
