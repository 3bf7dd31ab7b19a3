// npm start, npm test, npm run check: from the first line to the exit code; whatever was started is stopped in reverse order.
import { createRecords, endLeftovers, isRunning } from './process-records.ts';
import * as progress from './progress.ts';
import type { Run } from './run-command.ts';
import { StartError, StopRequested } from './start-error.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export type Session = Run & {
  onStop: (stop: () => unknown) => void;
  fatal: (error: StartError) => void;
  untilStopped: () => Promise<void>;
};

/**
 * Runs `main` and ends the process with its exit code.
 * @param main resolves to the exit code
 */
export async function runSession(
  {
    recordsDirectory,
    codeOnSignal,
    soleRunner,
  }: {
    /** where the processes are recorded that were started */
    recordsDirectory: string;
    /** exit code when a signal ended it */
    codeOnSignal: number;
    /** what must not run twice with these records, e.g. `npm start` */
    soleRunner?: string;
  },
  main: (session: Session) => Promise<number>,
) {
  const stopRequest = new AbortController();
  const records = createRecords(recordsDirectory);
  const stops: (() => unknown)[] = [];
  let fatalError: StartError | undefined;
  let code = 1;

  // A second signal, or one that reached us twice (through npm and through the terminal), changes nothing.
  const requestStop = (why: string) => {
    if (stopRequest.signal.aborted) return;
    progress.step('stop', `${why}: stopping`);
    stopRequest.abort();
  };
  for (const name of SIGNALS) process.on(name, () => requestStop(name));
  // bootstrap.mjs holds the other end: it was killed, and nobody waits for us any more.
  process.on('disconnect', () => requestStop('the npm command has ended'));
  process.channel?.unref();
  const session: Session = {
    records,
    signal: stopRequest.signal,
    onStop: (stop) => void stops.push(stop),
    fatal(error) {
      fatalError ??= error;
      stopRequest.abort();
    },
    untilStopped: () =>
      new Promise((resolve) => {
        if (stopRequest.signal.aborted) resolve();
        stopRequest.signal.addEventListener('abort', () => resolve(), { once: true });
        session.onStop(keepAwake());
      }),
  };
  process.on('uncaughtException', (error) => session.fatal(asStartError(error)));
  process.on('unhandledRejection', (error) => session.fatal(asStartError(error)));

  try {
    if (soleRunner) takeSoleRunner(records, soleRunner);
    else records.add('launcher', 'launcher', process.pid, process.argv.join(' '));
    await endLeftovers(records, (names) => {
      progress.step('start', `ending what an earlier, killed run left: ${names.join(', ')}`);
    });
    code = await main(session);
  } catch (error) {
    if (!(error instanceof StopRequested)) fatalError ??= asStartError(error);
    code = codeOnSignal;
  }
  if (fatalError) {
    progress.fail(fatalError.stepName, fatalError.message, fatalError.remedy);
    code = 1;
  }
  const since = performance.now();
  const hadStops = stops.length > 0;
  stopRequest.abort();
  for (const stop of stops.reverse())
    await Promise.resolve()
      .then(stop)
      .catch((error) => progress.warn('stop', String(error)));
  if (hadStops && soleRunner) progress.step('stop', `all stopped ${progress.took(since)}`);
  if (records.list().some((record) => record.name === 'launcher' && record.pid === process.pid))
    records.remove('launcher');
  process.exit(code);
}

/** Two would fight for the same data and ports. */
function takeSoleRunner(records: ReturnType<typeof createRecords>, what: string) {
  for (;;) {
    const other = records.list().find((record) => record.name === 'launcher');
    if (other && isRunning(other)) {
      throw new StartError(
        'start',
        `${what} is running here already, as process ${other.pid}`,
        'Stop that one first, with Ctrl-C or SIGTERM.',
      );
    }
    if (other) records.remove('launcher'); // killed
    try {
      records.add('launcher', 'launcher', process.pid, what, true);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error; // else another one was quicker
    }
  }
}

/** A wrong argument: one line, and the end. */
export function refuse(reason: string): never {
  process.stderr.write(`${reason}\n`);
  process.exit(2);
}

/** An idle event loop would end the process. */
function keepAwake() {
  const timer = setInterval(() => {}, 2 ** 30);
  return () => clearInterval(timer);
}

function asStartError(error: unknown) {
  if (error instanceof StartError) return error;
  return new StartError('start', error instanceof Error ? (error.stack ?? error.message) : String(error));
}
