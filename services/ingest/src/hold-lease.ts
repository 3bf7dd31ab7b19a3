// ingest: one puller per KF account. Two at once would do no harm, only double the work and WeCom's quota.
import { errorFields, type Logger, sleep, waitAtMost } from '@pipeline/runtime';
import type { Store } from '@pipeline/store';

// A killed puller's account rests for this long at most, so it is short; a lease lost by a hiccup comes back by itself.
const LEASE_MS = 2_000;
/** Between two tries to get it, or to keep it. */
const ASK_MS = 500;
const RELEASE_MS = 1_000;

export interface LeaseHolder {
  start(): void;
  isHeld(): boolean;
  /** Another one had it when we asked last. */
  isElsewhere(): boolean;
  /** Ends the renewing and gives the lease back. */
  stop(): Promise<void>;
}

/** Takes a lease as soon as it is free and keeps it. `owner` names this process, never two. */
export function createLeaseHolder(deps: {
  leases: Pick<Store['leases'], 'acquire' | 'release'>;
  name: string;
  owner: string;
  now: () => number;
  logger: Logger;
}): LeaseHolder {
  const { leases, name, owner, now, logger } = deps;
  const stopping = new AbortController();
  let heldUntil = Number.NEGATIVE_INFINITY;
  let isElsewhere = false;
  let keeping: Promise<void> = Promise.resolve();
  const isHeld = () => performance.now() < heldUntil;

  const keep = async () => {
    while (!stopping.signal.aborted) {
      const wasHeld = isHeld();
      // From before the request: what it takes is time that the lease already runs.
      const askedAt = performance.now();
      try {
        const isMine = await leases.acquire(name, owner, now(), LEASE_MS);
        isElsewhere = !isMine;
        heldUntil = isMine ? askedAt + LEASE_MS : Number.NEGATIVE_INFINITY;
        if (isMine !== wasHeld) logger.info({ lease: name }, isMine ? 'lease.taken' : 'lease.lost');
      } catch (error) {
        logger.debug({ ...errorFields(error), lease: name }, 'lease.not-renewed');
      }
      await sleep(ASK_MS, stopping.signal);
    }
  };

  return {
    start() {
      keeping = keep();
    },
    isHeld,
    isElsewhere: () => isElsewhere,
    async stop() {
      stopping.abort();
      heldUntil = Number.NEGATIVE_INFINITY;
      // Whoever waits for it would get it by and by; releasing only saves that time, so it may take little.
      const release = keeping.then(() => leases.release(name, owner)).catch(() => {});
      await waitAtMost(RELEASE_MS, release);
    },
  };
}
