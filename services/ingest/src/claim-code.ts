// ingest: a code-shaped text ─▶ is it a binding code? The first item to name a live one gets it.
import type { BindingMatched } from '@pipeline/contracts';
import { type BindingCode, EXPIRED_CODE_MEMORY_MS, type Store } from '@pipeline/store';

const GUESS_WINDOW_S = 600;
const MAX_WRONG_GUESSES = 10;

/**
 * What the item's text matches: a code that is now claimed for it, one that has run out, or none (an ordinary
 * message). The answer is the same when the page is read again.
 * @throws RetryableError `store-away`
 */
export type ClaimCode = (guess: {
  userKey: string;
  msgId: string;
  /** Epoch seconds. */
  sendTime: number;
  /** Six upper-case hex digits. */
  code: string;
}) => Promise<BindingMatched['match'] | null>;

export function createClaimCode(deps: {
  bindingCodes: Pick<Store['bindingCodes'], 'find' | 'findClaimed' | 'claim'>;
  codeGuesses: Pick<Store['codeGuesses'], 'count' | 'add'>;
  /** Epoch ms, database clock. */
  now: () => number;
}): ClaimCode {
  const { bindingCodes, codeGuesses, now } = deps;

  const lookUp = async (code: string, userKey: string, msgId: string) => {
    const found = await bindingCodes.find(code);
    const state = found && codeState(found, now());
    if (state === 'live') return (await bindingCodes.claim(code, userKey, msgId, now())) ? 'claimed' : null;
    return state;
  };

  return async ({ userKey, msgId, sendTime, code }) => {
    if (await bindingCodes.findClaimed(userKey, msgId)) return 'claimed';
    const wrongGuesses = await codeGuesses.count(userKey, msgId, sendTime - GUESS_WINDOW_S, sendTime);
    if (wrongGuesses > MAX_WRONG_GUESSES) return null;
    const match = await lookUp(code, userKey, msgId);
    if (match === null)
      await codeGuesses.add(userKey, { msgId, sendTime }, new Date(now() + 2 * GUESS_WINDOW_S * 1000));
    return match;
  };
}

/** Null for a code that is used, was replaced while it was live, or ran out too long ago. */
export function codeState({ state, expiresAt }: BindingCode, now: number): 'live' | 'expired' | null {
  if (state !== 'live' && state !== 'outrun') return null;
  if (state === 'live' && now < expiresAt) return 'live';
  return now < expiresAt + EXPIRED_CODE_MEMORY_MS ? 'expired' : null;
}
