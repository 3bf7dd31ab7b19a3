// Calls that actors have open: started after the save and never awaited. They outlive the actors that started them.
import { backoffMs, errorFields, type Logger, sleep, waitUntil } from '@pipeline/runtime';
import type { ActorTypes, Edges } from '../behaviour.ts';
import type { DocumentCache } from '../commit/document-cache.ts';
import { bornHere, type Input } from './input.ts';

/** For an outcome's way through the broker. */
const FORWARDING_MS = 2_000;
const FORWARD_FOR_MS = 15_000;
const FORWARD_RETRY_FIRST_MS = 100;
const FORWARD_RETRY_MAX_MS = 1_000;

export interface OpenCallsDeps<T extends ActorTypes> {
  edges: Pick<Edges<T>, 'call' | 'forwardOutcome'>;
  /** This process, by the name that it has among the replicas. */
  replica: string;
  /** Whether a replica is alive, which then still makes the calls that it began before its partition moved. */
  isAlive(replica: string): boolean;
  /** A call is left to the replica that makes it, while that lives, for so long: as a rule no call takes longer. */
  leaveToCallerMs: number;
  now(): number;
  logger: Logger;
  /** The user's actor, if it is in memory here. */
  actorOf(userKey: string): { push(input: Input<T>): void } | undefined;
}

export class OpenCalls<T extends ActorTypes> {
  readonly #deps: OpenCallsDeps<T>;
  readonly #open = new Set<string>();
  readonly #forwarding = new Set<Promise<void>>();

  constructor(deps: OpenCallsDeps<T>) {
    this.#deps = deps;
  }

  size(): number {
    return this.#open.size;
  }

  /** From its start until its outcome is stored or handed over. */
  has(userKey: string, call: T['call']): boolean {
    return this.#open.has(keyOf(userKey, call));
  }

  /**
   * Starts a call that has just been saved, and finds out about an older one.
   * @param document the actor's
   * @returns `under-way`: here. `elsewhere`: the replica that began it still lives. `lost`: nobody makes it.
   * `stale`: the document isn't the stored one any more, and is forgotten
   */
  async lookAfter(
    userKey: string,
    call: T['call'],
    isNew: boolean,
    document: DocumentCache<T>,
  ): Promise<'under-way' | 'elsewhere' | 'lost' | 'stale'> {
    if (this.has(userKey, call)) return 'under-way';
    if (!isNew) return this.#isMadeElsewhere(call, document.current()?.caller) ? 'elsewhere' : 'lost';
    if (await document.isCurrent()) {
      this.#start(userKey, call);
      return 'under-way';
    }
    document.forget();
    return 'stale';
  }

  /** Waits until each call is over and its outcome stored or handed over, `ms` at the longest. */
  allOver(ms: number): Promise<void> {
    return waitUntil(() => this.#open.size === 0 && this.#forwarding.size === 0, ms);
  }

  #isMadeElsewhere(call: T['call'], caller: string | undefined): boolean {
    const { replica, isAlive, leaveToCallerMs, now } = this.#deps;
    if (caller === undefined || caller === replica) return false;
    return isAlive(caller) && now() < call.startedAt + leaveToCallerMs + FORWARDING_MS;
  }

  #start(userKey: string, call: T['call']): void {
    const { edges, logger } = this.#deps;
    const key = keyOf(userKey, call);
    this.#open.add(key);
    edges.call(userKey, call).then(
      (event) => this.#takeOutcome(userKey, key, event),
      (error) => {
        // An outcome is a value; a rejection is our bug. The guard makes the call again.
        logger.error({ userKey, err: error, stack: error?.stack }, 'call.threw');
        this.#open.delete(key);
      },
    );
  }

  #takeOutcome(userKey: string, key: string, event: T['event']): void {
    const forward = () => {
      const forwarded = this.#forward(userKey, event).finally(() => {
        this.#open.delete(key);
        this.#forwarding.delete(forwarded);
      });
      this.#forwarding.add(forwarded);
    };
    const actor = this.#deps.actorOf(userKey);
    if (actor) actor.push({ ...bornHere(event), stored: () => this.#open.delete(key), dropped: forward });
    else forward();
  }

  /** Others leave the call to this process, so its outcome must get through. If it doesn't, the call is made again. */
  async #forward(userKey: string, event: T['event']): Promise<void> {
    const giveUpAt = performance.now() + FORWARD_FOR_MS;
    for (let attempt = 0; performance.now() < giveUpAt; attempt++) {
      try {
        return await this.#deps.edges.forwardOutcome(userKey, event);
      } catch (error) {
        this.#deps.logger.warn({ userKey, ...errorFields(error) }, 'outcome.not-forwarded');
        await sleep(backoffMs(attempt, FORWARD_RETRY_FIRST_MS, FORWARD_RETRY_MAX_MS));
      }
    }
  }
}

const keyOf = (userKey: string, { id }: { id: string }) => `${userKey} ${id}`;
