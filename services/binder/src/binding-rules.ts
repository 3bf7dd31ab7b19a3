// binder: what codes look like, and which text an outcome becomes.
import type { BindingCode, BindingOutcome } from '@pipeline/store';
import { render, type TextKey } from '@pipeline/texts';

/** Bytes of randomness in a code. */
export const CODE_BYTES = 3;

/** Six upper-case hex digits. */
export function formatCode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex').toUpperCase();
}

/** What the user reads about a binding, from what is stored with the code: the same however often it is asked. */
export function outcomeText(
  outcome: BindingOutcome,
  instanceName: BindingCode['instanceName'],
): { key: TextKey; content: string } {
  const content = outcome === 'bound' ? render('bound', { name: instanceName ?? '' }) : render(outcome);
  return { key: outcome, content };
}
