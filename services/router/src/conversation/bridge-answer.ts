// What a bridge's words mean for the user: an error text is never shown, only told apart.
import type { BridgeAnswered } from '@pipeline/contracts';
import type { FailureText } from './conversation-state.ts';

/** The reply for an error text out of a callback or of the transport. */
export function failureOf(errorText: string): FailureText {
  const words = errorText.toLowerCase();
  if (words.includes('disconnected') || words.includes('not connected')) return 'disconnected';
  if (words.includes('aborted')) return 'aborted';
  if (words.includes('shutting down')) return 'shuttingDown';
  return 'failed';
}

/** The reply for an ack with `ok: false`. */
export function refusalOf(errorText: string): FailureText {
  return errorText.toLowerCase().includes('not connected') ? 'bridgeRestarting' : 'bridgeRefused';
}

/** How a callback ends its turn. */
export function outcomeOf(answer: Pick<BridgeAnswered, 'ok' | 'content' | 'isTimeout'>): 'answered' | FailureText {
  if (answer.ok) return 'answered';
  return answer.isTimeout ? 'timeout' : failureOf(answer.content);
}
