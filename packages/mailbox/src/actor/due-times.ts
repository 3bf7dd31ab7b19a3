// When an actor has to look at its clock: by its state, by refused effects, by a call that another replica makes.
import type { ActorDocument } from '@pipeline/store';
import type { ActorTypes, Behaviour } from '../behaviour.ts';
import { type Alarm, createAlarm, earliest } from './alarm.ts';

/** A wake on which we fail is never given up, only put off. */
export const THROWING_WAKE_PAUSE_MS = 600_000;
/** A wake that changed nothing isn't repeated sooner. */
const IDLE_WAKE_PAUSE_MS = 1_000;
/**
 * How far ahead `wakeAt` stands while a call is open or effects wait in the document: if it is overdue, whoever owns the
 * partition by then makes the call again or runs the effects. No delivery may be left to remind of them.
 */
const GUARD_MS = 2_000;

export interface DueTimesDeps<T extends ActorTypes> {
  behaviour: Behaviour<T>;
  now(): number;
  /** The actor's document, null while there is none in memory. */
  document(): ActorDocument<T['state']> | null;
  /** When a refused effect is tried again, epoch ms. */
  retryAt(): number | null;
  retry(): void;
  wake(): void;
}

export class DueTimes<T extends ActorTypes> {
  readonly #deps: DueTimesDeps<T>;
  readonly #alarm: Alarm;
  #noWakeBefore = 0;
  /** Set once wakes have thrown too often. */
  #putOffUntil: number | null = null;
  #lookAgainAt: number | null = null;

  constructor(deps: DueTimesDeps<T>) {
    this.#deps = deps;
    this.#alarm = createAlarm(deps.now, () => this.#ring());
  }

  /** A wake may have killed the last owner: events get through first, and one that was put off stays so. */
  loaded({ state, wakeAt }: ActorDocument<T['state']>): void {
    this.changedNothing();
    const due = this.#deps.behaviour.dueAt(state);
    if (due !== null && wakeAt !== null && wakeAt > due)
      this.#putOffUntil = Math.min(wakeAt, this.#deps.now() + THROWING_WAKE_PAUSE_MS);
  }

  /** A wake changed nothing. */
  changedNothing(): void {
    this.#noWakeBefore = this.#deps.now() + IDLE_WAKE_PAUSE_MS;
  }

  /** Wakes have thrown too often. */
  putOff(): void {
    this.#putOffUntil = this.#deps.now() + THROWING_WAKE_PAUSE_MS;
  }

  isPutOff(): boolean {
    return this.#putOffUntil !== null && this.#deps.now() < this.#putOffUntil;
  }

  lookAgainIn(ms: number): void {
    this.#lookAgainAt = this.#deps.now() + ms;
  }

  /** What stands in the document: when somebody has to look after this user, epoch ms. */
  wakeAtOf(state: T['state'], effects: number): number | null {
    const { behaviour, now, retryAt } = this.#deps;
    const call = behaviour.callOf(state);
    const effectsAt = effects > 0 ? (retryAt() ?? now() + GUARD_MS) : null;
    return earliest(this.#stateDueAt(state), call && call.startedAt + GUARD_MS, effectsAt);
  }

  /** The next due time as this process keeps to it, epoch ms. */
  next(): number | null {
    return earliest(this.#ownDueAt(), this.#deps.retryAt(), this.#lookAgainAt);
  }

  setAlarm(): void {
    this.#alarm.set(this.next());
  }

  stop(): void {
    this.#alarm.stop();
  }

  #ring(): void {
    const now = this.#deps.now();
    const isPast = (time: number | null) => time !== null && time <= now;
    if (isPast(this.#deps.retryAt())) this.#deps.retry();
    const isDue = isPast(this.#ownDueAt()) || isPast(this.#lookAgainAt);
    if (isPast(this.#lookAgainAt)) this.#lookAgainAt = null;
    if (isDue) this.#deps.wake();
    else this.setAlarm();
  }

  #stateDueAt(state: T['state']): number | null {
    const due = this.#deps.behaviour.dueAt(state);
    return due === null || this.#putOffUntil === null ? due : Math.max(due, this.#putOffUntil);
  }

  #ownDueAt(): number | null {
    const document = this.#deps.document();
    const due = document && this.#stateDueAt(document.state);
    return due !== null && due <= this.#deps.now() ? Math.max(due, this.#noWakeBefore) : due;
  }
}
