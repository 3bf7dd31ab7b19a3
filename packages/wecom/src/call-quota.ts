// WeCom's limits on how often an API is called, kept by all processes together: each takes calls in blocks.
import type { Logger } from '@pipeline/runtime';
import { BLOCK_MS, emptyQuota, grantCalls, type QuotaLimits, type QuotaState } from './quota-windows.ts';
import { quotaSpent } from './wecom-error.ts';

/** Where processes share what they were granted. */
export interface QuotaStore {
  /** Replaces an API's state (null: none yet) by what `change` makes of it, as if nobody else did so meanwhile. */
  update<R>(api: string, change: (state: QuotaState | null) => { state: QuotaState; result: R }): Promise<R>;
}

export interface CallQuota {
  /** Takes one call, waiting for nothing but the store. @throws WecomError `wecom-quota-spent` with `retryAfterMs` */
  admit(api: string): Promise<void>;
  /** WeCom refused (45009) for so long: nobody calls this API before. */
  close(api: string, forMs: number): Promise<void>;
  /** The APIs that rest now, and for how many more ms. */
  resting(): Record<string, number>;
}

/** What one process knows of an API. Times are monotonic ms. */
interface Local {
  left: number;
  until: number;
  block: { grantedAt: number; calls: number };
  waiting: number;
  asking: Promise<void> | null;
  restUntil: number;
}

/** One process takes at most this share of a minute at a time: the others want some too. */
const MAX_BLOCK_SHARE = 1 / 20;

const ARRIVAL_MS = 50;

/** @param now epoch ms, the same clock for all who share the store */
export function createCallQuota(deps: {
  store: QuotaStore;
  limits: QuotaLimits;
  now: () => number;
  /** ms; the process's own. */
  monotonic?: () => number;
  logger: Logger;
}): CallQuota {
  const { store, limits, now, monotonic = () => performance.now(), logger } = deps;
  const maxBlock = Math.max(1, Math.floor(limits.perMinute * MAX_BLOCK_SHARE));
  const locals = new Map<string, Local>();

  const localOf = (api: string): Local => {
    let local = locals.get(api);
    if (!local) {
      local = { left: 0, until: 0, block: { grantedAt: 0, calls: 0 }, waiting: 0, asking: null, restUntil: 0 };
      locals.set(api, local);
    }
    return local;
  };

  const rest = (api: string, forMs: number, event: string): void => {
    const local = localOf(api);
    if (monotonic() >= local.restUntil) logger.warn({ api, forMs: Math.round(forMs) }, event);
    local.left = 0;
    local.restUntil = Math.max(local.restUntil, monotonic() + forMs);
  };

  /** As many as wait and as the last block, if recent, was used for. */
  const takeBlock = async (api: string, local: Local): Promise<void> => {
    const askedAt = monotonic();
    const { block, left } = local;
    const isRecent = askedAt < local.until + BLOCK_MS;
    const wanted = Math.min(maxBlock, local.waiting + (isRecent ? block.calls - left : 0));
    const unused = left > 0 ? { grantedAt: block.grantedAt, calls: left } : undefined;
    local.left = 0;
    const at = Math.floor(now());
    const { granted, waitMs } = await store.update(api, (state) => {
      const { state: next, ...result } = grantCalls(state ?? emptyQuota, {
        wanted,
        now: at,
        limits,
        ...(unused && { unused }),
      });
      return { state: next, result };
    });
    if (granted === 0) return rest(api, waitMs, 'quota.spent');
    // Those who wait now get theirs, however long the store took.
    const until = Math.max(askedAt + BLOCK_MS, monotonic() + ARRIVAL_MS);
    Object.assign(local, { left: granted, until, block: { grantedAt: at, calls: granted } });
  };

  return {
    async admit(api) {
      const local = localOf(api);
      local.waiting++;
      try {
        for (;;) {
          const restMs = local.restUntil - monotonic();
          if (restMs > 0) throw quotaSpent(api, Math.ceil(restMs));
          if (local.left > 0 && monotonic() < local.until) break;
          local.asking ??= takeBlock(api, local).finally(() => {
            local.asking = null;
          });
          await local.asking;
        }
        local.left--;
      } finally {
        local.waiting--;
      }
    },
    async close(api, forMs) {
      rest(api, forMs, 'quota.refused');
      const until = Math.floor(now()) + forMs;
      await store.update(api, (state) => {
        const before = state ?? emptyQuota;
        return { state: { ...before, closedUntil: Math.max(before.closedUntil, until) }, result: undefined };
      });
    },
    resting() {
      const rests = [...locals].map(([api, { restUntil }]) => [api, Math.round(restUntil - monotonic())] as const);
      return Object.fromEntries(rests.filter(([, ms]) => ms > 0));
    },
  };
}
