// Who is alive: this replica says so in MongoDB once a second, and reads who else does.
import { errorFields, type Logger, sleep, waitAtMost } from '@pipeline/runtime';
import type { Replica, SeenReplica, Store } from '@pipeline/store';

const BEAT_MS = 1_000;
/** Of one that is leaving: it waits for the others to step in. */
const LEAVING_BEAT_MS = 200;
/** Three beats missed: taken for dead. */
const EXPIRY_MS = 3_000;
const LEAVE_MS = 1_000;

export interface Members {
  /** All that are alive, this one included. */
  alive: Replica[];
  /** Processes of this service have ended without a goodbye, within the last minutes. */
  haveDied: boolean;
}

export interface MembershipDeps {
  service: string;
  name: string;
  store: Pick<Store, 'replicas' | 'now'>;
  logger: Logger;
  /** What this replica is subscribed to; null while it can't work (broker or database away): it then says nothing. */
  subscribed(): Replica['subscribed'] | null;
  onSeen(members: Members): void;
}

export class Membership {
  readonly #deps: MembershipDeps;
  readonly #running: Promise<void>;
  #isLeaving = false;
  #isEnded = false;
  #pause = new AbortController();
  /** Epoch ms. */
  #lastBeatAt: number | null = null;
  /** Until `over`, silence since `from` proves no death: nobody could beat. */
  #outage: { from: number; over: number } | null = null;

  /** The first beat is said at once: a replica that is alone waits for nobody. */
  constructor(deps: MembershipDeps) {
    this.#deps = deps;
    this.#running = this.#beatUntilEnded();
  }

  /** Says at once what has changed. */
  beatSoon(): void {
    this.#pause.abort();
  }

  /** Says at once, and from now on, that this replica takes no partitions any more. */
  sayLeaving(): void {
    this.#isLeaving = true;
    this.#pause.abort();
  }

  /** The last word: from now on nobody takes this replica for alive. */
  async leave(): Promise<void> {
    const { store, service, name } = this.#deps;
    this.#isEnded = true;
    this.#pause.abort();
    const left = this.#running.then(() => store.replicas.leave(service, name));
    await waitAtMost(
      LEAVE_MS,
      left.catch(() => {}), // it expires by itself
    );
  }

  async #beatUntilEnded(): Promise<void> {
    while (!this.#isEnded) {
      // Anew before each beat: what changes during one is said by the next, at once.
      this.#pause = new AbortController();
      const said = this.#beat().catch((error) => this.#deps.logger.warn(errorFields(error), 'heartbeat.failed'));
      await waitAtMost(EXPIRY_MS, said);
      await sleep(this.#isLeaving ? LEAVING_BEAT_MS : BEAT_MS, this.#pause.signal);
    }
  }

  async #beat(): Promise<void> {
    const { service, name, store } = this.#deps;
    const subscribed = this.#deps.subscribed();
    if (!subscribed) return;
    const self = { name, subscribed, isLeaving: this.#isLeaving };
    const now = store.now();
    const [seen] = await Promise.all([store.replicas.seen(service), store.replicas.beat(service, self, now)]);
    if (!this.#isEnded) this.#deps.onSeen(this.#judge(seen, self, now));
  }

  #judge(seen: SeenReplica[], self: Replica, now: number): Members {
    if (this.#lastBeatAt !== null && now - this.#lastBeatAt > EXPIRY_MS)
      this.#outage = { from: this.#lastBeatAt, over: now + EXPIRY_MS };
    this.#lastBeatAt = now;
    const outage = this.#outage && now < this.#outage.over ? this.#outage : null;
    const diedBefore = (outage?.from ?? now) - EXPIRY_MS;
    const others = seen.filter(({ name }) => name !== self.name);
    const alive = others.filter(({ beatAt }) => beatAt > now - EXPIRY_MS).map(({ beatAt, ...replica }) => replica);
    // By name: whoever beats during the read moves up in the index that is read, and may be found twice.
    const byName = new Map([...alive, self].map((one) => [one.name, one]));
    return { alive: [...byName.values()], haveDied: others.some(({ beatAt }) => beatAt <= diedBefore) };
  }
}
