// Who is alive: this replica says so in MongoDB once a second, and reads who else does.
import { errorFields, type Logger, sleep, waitAtMost } from '@pipeline/runtime';
import type { Replica, Store } from '@pipeline/store';

const BEAT_MS = 1_000;
/** Of one that is leaving: it waits for the others to step in. */
const LEAVING_BEAT_MS = 200;
/** Three beats missed: taken for dead. */
const EXPIRY_MS = 3_000;
const LEAVE_MS = 1_000;

export interface Membership {
  /** Says at once what has changed. */
  beatSoon(): void;
  /** Says at once, and from now on, that this replica takes no partitions any more. */
  sayLeaving(): void;
  /** The last word: from now on nobody takes this replica for alive. */
  leave(): Promise<void>;
}

/** The first beat is said at once: a replica that is alone waits for nobody. */
export function joinMembership(deps: {
  service: string;
  name: string;
  store: Pick<Store, 'replicas' | 'now'>;
  logger: Logger;
  /** What this replica is subscribed to; null while it can't work (broker or database away): it then says nothing. */
  subscribed(): Replica['subscribed'] | null;
  /** All that are alive, this one included. */
  onAlive(replicas: Replica[]): void;
}): Membership {
  const { service, name, store, logger } = deps;
  let isLeaving = false;
  let isEnded = false;
  let pause = new AbortController();

  const beat = async () => {
    const subscribed = deps.subscribed();
    if (!subscribed) return;
    const self = { name, subscribed, isLeaving };
    const now = store.now();
    const [alive] = await Promise.all([
      store.replicas.alive(service, now - EXPIRY_MS),
      store.replicas.beat(service, self, now),
    ]);
    // By name: whoever beats during the read moves up in the index that is read, and may be found twice.
    const byName = new Map([...alive, self].map((one) => [one.name, one]));
    if (!isEnded) deps.onAlive([...byName.values()]);
  };

  const running = (async () => {
    while (!isEnded) {
      // Anew before each beat: what changes during one is said by the next, at once.
      pause = new AbortController();
      const said = beat().catch((error) => logger.warn(errorFields(error), 'heartbeat.failed'));
      await waitAtMost(EXPIRY_MS, said);
      await sleep(isLeaving ? LEAVING_BEAT_MS : BEAT_MS, pause.signal);
    }
  })();
  return {
    beatSoon: () => pause.abort(),
    sayLeaving() {
      isLeaving = true;
      pause.abort();
    },
    async leave() {
      isEnded = true;
      pause.abort();
      const left = running.then(() => store.replicas.leave(service, name));
      await waitAtMost(
        LEAVE_MS,
        left.catch(() => {}), // it expires by itself
      );
    },
  };
}
