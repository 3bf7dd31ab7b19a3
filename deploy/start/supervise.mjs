// npm start, npm test ─▶ each long-lived process: started, watched, started again when it dies, stopped.
import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import * as progress from './progress.mjs';
import { StartError, StopRequested } from './start-error.mjs';

const BACKOFF_MIN_MS = 200;
const BACKOFF_MAX_MS = 5000;
/** Ready for this long: whatever it dies of next is no crash at the start. */
const STEADY_MS = 3_000;
const PROBE_MS = 1000;
const PROBE_STARTING_MS = 100;
const TOLERATED_MS = 3000;

/** EX_CONFIG: a setting is wrong, so starting again would end the same way. */
const EXIT_CONFIG = 78;

/**
 * @typedef {import('./probe.mjs').Readiness} Readiness
 * @typedef {{ name: string, isReady: () => boolean, reason: () => string,
 *   whenReady: (options: { timeoutMs: number, signal: AbortSignal, isTolerable?: (reason: string) => boolean }) => Promise<boolean>,
 *   stop: () => Promise<void> }} Supervised
 */

/**
 * Starts a process and keeps it running.
 * @param {object} options
 * @param {string} options.name
 * @param {() => Promise<import('./owned-process.mjs').OwnedProcess>} options.launch
 * @param {() => Promise<Readiness>} options.probe answers within a second or so; must not throw
 * @param {number} options.stopGraceMs between SIGTERM and SIGKILL
 * @param {(error: StartError) => void} options.onFatal it can't be started by trying again
 * @param {() => string} [options.lastWords] what its log ends with
 * @param {number} [options.startAttempts] how often it may end before it was ever ready
 * @param {Pick<typeof progress, 'warn' | 'step'>} [options.report] who is told of its ends and returns
 * @returns {Supervised}
 */
export function supervise({
  name,
  launch,
  probe,
  stopGraceMs,
  onFatal,
  lastWords = () => '',
  startAttempts = Infinity,
  report = progress,
}) {
  /** @type {import('./owned-process.mjs').OwnedProcess | undefined} */
  let current;
  /** @type {Promise<unknown>} */
  let launching = Promise.resolve();
  /** @type {NodeJS.Timeout | undefined} */
  let restart;
  /** @type {NodeJS.Timeout | undefined} */
  let nextProbe;
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

  function onExit(/** @type {import('./owned-process.mjs').Exit} */ exit) {
    current = undefined;
    readySince = 0;
    diedAt = performance.now();
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

  function note(/** @type {Readiness} */ readiness) {
    reason = readiness.reason ?? reason;
    if (!readiness.isReady) {
      readySince = 0;
      return;
    }
    wasEverReady = true;
    if (readySince === 0) {
      readySince = performance.now();
      if (diedAt > 0) report.step(name, `ready again ${progress.took(diedAt)}`);
      else if (isOverdue) report.step(name, 'ready now');
      diedAt = 0;
      isOverdue = false;
    }
    if (performance.now() - readySince >= STEADY_MS) backoffMs = BACKOFF_MIN_MS;
  }

  begin();
  nextProbe = setTimeout(look, PROBE_STARTING_MS);

  return {
    name,
    isReady: () => readySince > 0,
    reason: () => reason,

    /**
     * True once it is ready; false once its reason not to be was tolerable for 3 s.
     * @throws {StartError} when it isn't ready in time
     */
    async whenReady({ timeoutMs, signal, isTolerable = () => false }) {
      const since = performance.now();
      let tolerableSince = 0;
      for (;;) {
        if (signal.aborted || isDoomed) throw new StopRequested();
        if (readySince > 0) return true;
        if (!current || !isTolerable(reason)) tolerableSince = 0;
        else tolerableSince ||= performance.now();
        if (tolerableSince > 0 && performance.now() - tolerableSince > TOLERATED_MS) {
          isOverdue = true;
          return false;
        }
        if (performance.now() - since > timeoutMs) {
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
