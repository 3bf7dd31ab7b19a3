// WeCom's access token, one for all processes of all services: gettoken is throttled. Never logged; plain in here.
import { createHash, randomUUID } from 'node:crypto';
import { type Connection, Schema } from 'mongoose';
import { storing } from '../store-errors.ts';
import type { leases } from './leases.ts';

/** Whoever waits for a process that died while it fetched waits for so long. */
const CLAIM_MS = 2_000;

export interface AccessToken {
  token: string;
  /** Epoch ms, database clock: when it is to be renewed. */
  expiresAt: number;
}

const schema = new Schema({ _id: String, token: String, expiresAt: Number }, { versionKey: false });

export function accessTokens(connection: Connection, claims: ReturnType<typeof leases>, now: () => number) {
  const model = connection.model<AccessToken & { _id: string }>('access_tokens', schema as never, 'access_tokens');
  return {
    /** The place of one app's token. Another secret is another app: its token isn't taken for this one's. */
    of({ corpId, secret }: { corpId: string; secret: string }) {
      const _id = `${corpId}:${createHash('sha256').update(secret).digest('hex').slice(0, 16)}`;
      const claim = `access-token:${_id}`;
      const owner = randomUUID();
      return {
        read: () => storing(() => model.findById(_id).lean<AccessToken>().exec()),
        async write({ token, expiresAt }: AccessToken): Promise<void> {
          await storing(() => model.updateOne({ _id }, { $set: { token, expiresAt } }, { upsert: true }));
        },
        /** Takes or keeps the right to fetch a new one, for 2 s. @returns false while another process has it */
        claim: () => claims.acquire(claim, owner, now(), CLAIM_MS),
        async release(): Promise<void> {
          await claims.release(claim, owner);
        },
      };
    },
    ensureIndexes: () => model.createIndexes(),
  };
}
