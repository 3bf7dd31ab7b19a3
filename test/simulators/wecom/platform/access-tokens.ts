// WeCom simulator: access tokens. One live token per app unless told otherwise; revocable at any time.
import type { Clock } from './clock.ts';
import { type ApiAnswer, accepted, refusal } from './errcodes.ts';
import { opaqueId } from './random.ts';
import type { Settings } from './settings.ts';

export type AccessTokens = {
  gettoken(corpId: string, secret: string): ApiAnswer;
  /** The refusal for this token, or nothing when it is good. */
  check(token: string): ApiAnswer | undefined;
  /** Ends every live token early; the next check of one answers 40014. Returns how many there were. */
  revoke(): number;
};

export function createAccessTokens(
  app: { corpId: string; secret: string },
  settings: Settings,
  clock: Clock,
): AccessTokens {
  const expiryByToken = new Map<string, number>();
  let current: string | undefined;

  const issue = (): string => {
    const token = opaqueId(200);
    expiryByToken.set(token, clock.nowMs() + settings.tokenExpiresInS * 1000);
    current = token;
    return token;
  };

  return {
    gettoken(corpId, secret) {
      if (corpId === '') return refusal(41002);
      if (secret === '') return refusal(41004);
      if (corpId !== app.corpId) return refusal(40013);
      if (secret !== app.secret) return refusal(40001);
      const expiresAt = current === undefined ? 0 : (expiryByToken.get(current) ?? 0);
      const isLive = current !== undefined && expiresAt > clock.nowMs();
      const token = isLive && current !== undefined && !settings.newTokenOnRefetch ? current : issue();
      const left = Math.ceil(((expiryByToken.get(token) ?? 0) - clock.nowMs()) / 1000);
      return accepted({ access_token: token, expires_in: Math.max(left, 1) });
    },
    check(token) {
      if (token === '') return refusal(41001);
      const expiresAt = expiryByToken.get(token);
      if (expiresAt === undefined) return refusal(40014);
      return expiresAt > clock.nowMs() ? undefined : refusal(settings.expiredTokenCode);
    },
    revoke() {
      const live = expiryByToken.size;
      expiryByToken.clear();
      current = undefined;
      return live;
    },
  };
}
