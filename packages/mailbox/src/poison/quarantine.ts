// A crash throws nothing: deliveries that may have killed a process are run one at a time, their count saved first.
//
// A delivery is
//   free       handled at once
//   waiting    a suspect, or one of the same user behind it; nobody else waits for them
//   on trial   the one suspect that is run. If the process dies, its count stays; whatever else becomes of it clears it.
//              One over which a process has died before waits for a while, and for all others: those are handled meanwhile
//
// The broker's count alone proves nothing, for it also counts neighbours and clean closes: suspicion needs a process of
// this service that ended lately without a goodbye (`partitions/membership.ts`).
import type { Delivery } from '@pipeline/broker';

const SUSPECT_DELIVERIES = 3;
/** A suspect over which a process has died is tried again once nothing else has come for so long … */
const QUIET_MS = 2_000;
/** … or has waited for so long. */
const PATIENCE_MS = 20_000;

export interface QuarantineDeps {
  /** Processes of this service have ended without a goodbye. */
  haveProcessesDied(): boolean;
  /** Begins to handle a delivery; `settled` follows. */
  handle(partition: number, delivery: Delivery, isOnTrial: boolean): void;
  /** A process died over an earlier trial of it. Must not throw. */
  wasOnTrial(delivery: Delivery): Promise<boolean>;
  /**
   * Counts a suspect before it is run. Must not throw.
   * @returns what to do once the trial is over, whatever came of it (must not throw); null if it isn't to be run any more
   */
  judge(delivery: Delivery): Promise<(() => Promise<void>) | null>;
}

interface Waiting {
  partition: number;
  delivery: Delivery;
}

interface Trial extends Waiting {
  /** A process has died over it: since when it lets others go first, monotonic ms. */
  waitsSince?: number;
  over?: () => Promise<void>;
  isEnded?: boolean;
}

export class Quarantine {
  readonly #deps: QuarantineDeps;
  /** By user, in order; the first of each is a suspect, the one on trial included. */
  readonly #lines = new Map<string, Trial[]>();
  #trial: Trial | null = null;
  /** Monotonic ms. */
  #lastCameAt = 0;

  constructor(deps: QuarantineDeps) {
    this.#deps = deps;
  }

  admit(partition: number, delivery: Delivery): void {
    this.#lastCameAt = performance.now();
    const line = this.#lines.get(delivery.routingKey);
    if (line) line.push({ partition, delivery });
    else if (this.#isSuspect(delivery)) {
      this.#lines.set(delivery.routingKey, [{ partition, delivery }]);
      this.#advance();
    } else this.#deps.handle(partition, delivery, false);
  }

  /** It is done with. */
  settled(delivery: Delivery): void {
    if (this.#trial && delivery === this.#trial.delivery) void this.#endTrial(this.#trial);
  }

  /** The partition's channel is gone, and with it its deliveries. */
  drop(partition: number): void {
    // A user's deliveries are all of one partition.
    for (const [userKey, [first]] of this.#lines) if (first?.partition === partition) this.#lines.delete(userKey);
    if (this.#trial?.partition === partition) void this.#endTrial(this.#trial);
  }

  /** How many wait or are on trial. */
  size(): number {
    return this.#lines.values().reduce((sum, line) => sum + line.length, 0);
  }

  #isSuspect({ deliveryCount }: Delivery): boolean {
    return deliveryCount >= SUSPECT_DELIVERIES && this.#deps.haveProcessesDied();
  }

  #advance(): void {
    if (this.#trial) return;
    const suspects = this.#lines.values().map(([first]) => first);
    const next = suspects.find((first) => first && this.#isDue(first));
    if (next) void this.#try(next);
  }

  async #try(suspect: Trial): Promise<void> {
    this.#trial = suspect;
    const wasOnTrial = suspect.waitsSince === undefined && (await this.#deps.wasOnTrial(suspect.delivery));
    if (suspect.isEnded) return;
    if (wasOnTrial) {
      this.#putLast(suspect);
      return;
    }
    const over = await this.#deps.judge(suspect.delivery);
    if (suspect.isEnded) return over?.();
    if (!over) return this.#endTrial(suspect);
    suspect.over = over;
    this.#deps.handle(suspect.partition, suspect.delivery, true);
  }

  #putLast(suspect: Trial): void {
    const { routingKey: userKey } = suspect.delivery;
    const line = this.#lines.get(userKey) ?? [];
    suspect.waitsSince = performance.now();
    this.#lookAgain(suspect);
    this.#lines.delete(userKey);
    this.#lines.set(userKey, line);
    this.#trial = null;
    this.#advance();
  }

  #isDue({ waitsSince }: Trial): boolean {
    const now = performance.now();
    return waitsSince === undefined || now >= this.#lastCameAt + QUIET_MS || now >= waitsSince + PATIENCE_MS;
  }

  #lookAgain(suspect: Trial): void {
    if (this.#lines.get(suspect.delivery.routingKey)?.[0] !== suspect) return; // its partition has gone
    if (this.#isDue(suspect)) this.#advance();
    else setTimeout(() => this.#lookAgain(suspect), QUIET_MS / 4).unref();
  }

  async #endTrial(trial: Trial): Promise<void> {
    if (trial.isEnded) return;
    trial.isEnded = true;
    // Its ack is on its way and its count gone before what stands behind it can kill the process.
    await trial.over?.();
    this.#trial = null;
    this.#release(trial.delivery);
    this.#advance();
  }

  /** What stood behind the suspect is free, up to the user's next suspect. */
  #release(suspect: Delivery): void {
    const { routingKey: userKey } = suspect;
    const line = this.#lines.get(userKey);
    if (line?.[0]?.delivery !== suspect) return; // its partition has gone, and may have come again
    this.#lines.delete(userKey);
    line.shift();
    while (line[0] && !this.#isSuspect(line[0].delivery)) {
      const { partition, delivery } = line.shift() as Waiting;
      this.#deps.handle(partition, delivery, false);
    }
    if (line.length > 0) this.#lines.set(userKey, line);
  }
}
