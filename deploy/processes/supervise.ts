// npm start, npm test ─▶ each long-lived process: started, watched, started again when it dies, stopped.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Exit, OwnedProcess } from './owned-process.ts';
import type { Readiness } from './probe.ts';
import * as progress from './progress.ts';
import { StartError, StopRequested } from './start-error.ts';

const BACKOFF_MIN_MS = 200;
const BACKOFF_MAX_MS = 5000;
/** Ready for this long: whatever it dies of next is no crash at the start. */
const STEADY_MS = 10_000;
const PROBE_MS = 1000;
const PROBE_STARTING_MS = 100;
const TOLERATED_MS = 3000;

/** EX_CONFIG: a setting is wrong, so starting again would end the same way. */
const EXIT_CONFIG = 78;

export interface Supervised {
  name: string;
  isReady(): boolean;
  reason(): string;
  /**
   * True once it is ready; false once its reason not to be was tolerable for 3 s.
   * @throws StartError when it isn't ready in time
   */
  whenReady(options: {
    timeoutMs: number;
    signal: AbortSignal;
    isTolerable?: ((reason: string) => boolean) | undefined;
  }): Promise<boolean>;
  stop(): Promise<void>;
}

export interface SuperviseOptions {
  name: string;
  launch(): Promise<OwnedProcess>;
  /** Answers within a second or so; must not throw. */
  probe(): Promise<Readiness>;
  /** Between SIGTERM and SIGKILL. */
  stopGraceMs: number;
  /** It can't be started by trying again. */
  onFatal(error: StartError): void;
  /** What its log ends with. */
  lastWords?(): string;
  /** How often it may end before it was ever ready. */
  startAttempts?: number;
  /** Who is told of its ends and returns. */
  report?: Pick<typeof progress, 'warn' | 'step'>;
  /** Monotonic ms. */
  now?(): number;
}

/** Starts a process and keeps it running. */
export function supervise(options: SuperviseOptions): Supervised {
  const { name, launch, probe, stopGraceMs, onFatal } = options;
  const { lastWords = () => '', startAttempts = Infinity, report = progress, now = () => performance.now() } = options;
  let current: OwnedProcess | undefined;
  let launching: Promise<unknown> = Promise.resolve();
  let restart: NodeJS.Timeout | undefined;
  let nextProbe: NodeJS.Timeout | undefined;
  let isStopping = false;
  let isDoomed = false;
  let backoffMs = BACKOFF_MIN_MS;
  let readySince = 0;
  let reason = 'starting';
  let diedAt = 0;
  let wasEverReady = false;
  let isOverdue = false;
  let deaths = 0;

  function begin() {
    restart = undefined;
    launching = launch().then(
      (owned) => {
        current = owned;
        void owned.exited.then(onExit);
      },
      (error) => {
        isDoomed = true;
        if (!isStopping)
          onFatal(error instanceof StartError ? error : new StartError(name, String(error?.message ?? error)));
      },
    );
  }

  function onExit(exit: Exit) {
    current = undefined;
    readySince = 0;
    diedAt = now();
    if (isStopping) return;
    const how = exit.error?.message ?? (exit.signal ? `killed by ${exit.signal}` : `exit code ${exit.code}`);
    const words = exit.signal ? '' : lastWords(); // a killed one had nothing to say about it
    reason = words ? `${how}: ${words}` : how;
    if (exit.code === EXIT_CONFIG || exit.error) {
      isDoomed = true;
      onFatal(new StartError(name, lastWords() || how, 'A setting is missing or wrong: correct it and start again.'));
      return;
    }
    if (!wasEverReady && ++deaths >= startAttempts) {
      isDoomed = true;
      onFatal(
        new StartError(name, `ended ${deaths} times while starting: ${reason}`, `Its log is .local/logs/${name}.log.`),
      );
      return;
    }
    report.warn(name, `ended (${reason}); starting it again in ${backoffMs / 1000} s`);
    restart = setTimeout(begin, backoffMs);
    backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2);
  }

  async function look() {
    if (current) {
      const seen = current;
      const readiness = await probe();
      if (seen === current) note(readiness);
    }
    if (!isStopping) nextProbe = setTimeout(look, readySince > 0 ? PROBE_MS : PROBE_STARTING_MS);
  }

  function note(readiness: Readiness) {
    reason = readiness.reason ?? reason;
    if (!readiness.isReady) {
      readySince = 0;
      return;
    }
    wasEverReady = true;
    if (readySince === 0) {
      readySince = now();
      if (diedAt > 0) report.step(name, `ready again ${progress.took(diedAt)}`);
      else if (isOverdue) report.step(name, 'ready now');
      diedAt = 0;
      isOverdue = false;
    }
    if (now() - readySince >= STEADY_MS) backoffMs = BACKOFF_MIN_MS;
  }

  begin();
  nextProbe = setTimeout(look, PROBE_STARTING_MS);

  return {
    name,
    isReady: () => readySince > 0,
    reason: () => reason,

    async whenReady({ timeoutMs, signal, isTolerable = () => false }) {
      const since = now();
      let tolerableSince = 0;
      for (;;) {
        if (signal.aborted || isDoomed) throw new StopRequested();
        if (readySince > 0) return true;
        if (!current || !isTolerable(reason)) tolerableSince = 0;
        else tolerableSince ||= now();
        if (tolerableSince > 0 && now() - tolerableSince > TOLERATED_MS) {
          isOverdue = true;
          return false;
        }
        if (now() - since > timeoutMs) {
          throw new StartError(
            name,
            `not ready after ${timeoutMs / 1000} s: ${reason}`,
            `Its log is .local/logs/${name}.log.`,
          );
        }
        await sleep(20);
      }
    },

    async stop() {
      isStopping = true;
      clearTimeout(restart);
      clearTimeout(nextProbe);
      await launching;
      await current?.stop(stopGraceMs);
    },
  };
}
