// Which messages get into the line, and what is said to those that don't (docs/behaviour.md, "one user message").
import type { CustomerItem } from '@pipeline/contracts';
import type { TextKey } from '@pipeline/texts';
import type { ConversationSettings, ConversationState, Entry } from './conversation-state.ts';

const RATE_WINDOW_S = 60;

export type Verdict =
  | { kind: 'accepted'; text: string; ahead: number }
  | { kind: 'ignored' }
  | { kind: 'refused'; text: Extract<TextKey, 'unsupported' | 'rateLimited' | 'queueFull'> };

/**
 * Judges one ordinary message against the conversation as it stands.
 * The rate window runs over WeCom's send_time, so that a backlog after an outage isn't punished, nor one replayed
 * message for what was sent long after it.
 */
export function judge(
  item: CustomerItem,
  conversation: Pick<ConversationState, 'turn' | 'accepted'> & { waiting: number },
  settings: ConversationSettings,
): Verdict {
  if (item.msgtype !== 'text' || item.text === null) return { kind: 'refused', text: 'unsupported' };
  const text = item.text.trim();
  if (text === '') return { kind: 'ignored' };
  const inWindow = conversation.accepted.filter((sendTime) => Math.abs(item.sendTime - sendTime) < RATE_WINDOW_S);
  if (inWindow.length >= settings.rateLimitPerMinute) return { kind: 'refused', text: 'rateLimited' };
  const ahead = conversation.waiting + (conversation.turn ? 1 : 0);
  if (ahead >= settings.queueMaxDepth) return { kind: 'refused', text: 'queueFull' };
  return { kind: 'accepted', text, ahead };
}

/** The rate window after accepting a message: what can still count, newest last. */
export function extendWindow(accepted: number[], sendTime: number, limit: number): number[] {
  return [...accepted, sendTime].slice(-limit);
}

/** How many entries are counted: waiting, neither held nor undecided. */
export function countWaiting(entries: readonly Entry[]): number {
  return entries.filter((entry) => entry.status === 'accepted').length;
}
