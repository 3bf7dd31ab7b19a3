// The life of a process: start, wait for a signal, stop within 10 s.
import { ConfigError, describeError } from './errors.ts';
import { startHangWatchdog } from './hang-watchdog.ts';
import type { Logger } from './logger.ts';

/** What a service's composition root returns. */
export interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** EX_CONFIG of sysexits.h: a supervisor need not try again, somebody has to mend a setting. */
export const EXIT_CONFIG = 78;

// G8 promises 10 s; the watchdog is shorter than what orchestrators grant (Docker: 10 s) so that we still get to log.
const STOP_DEADLINE_MS = 9_500;

/**
 * Builds and starts a service and stops it on SIGTERM or SIGINT. Exit codes: 0 after a clean stop, 78 for a
 * configuration error, 1 for anything else. Only `main.ts` calls it.
 */
export async function runService(build: () => { service: Service; logger: Logger }): Promise<void> {
  startHangWatchdog();
  let service: Service | undefined;
  let logger: Logger | undefined;
  const fail = (error: unknown, what: string) => {
    const code = error instanceof ConfigError ? EXIT_CONFIG : 1;
    const line = `${what}: ${describeError(error)}`;
    if (logger) logger.fatal({ stack: code === 1 && error instanceof Error ? error.stack : undefined }, line);
    else process.stderr.write(`${line}\n`);
    exitAfterFlush(logger, code);
  };
  process.on('unhandledRejection', (error) => fail(error, 'unhandled rejection'));
  process.on('uncaughtException', (error) => fail(error, 'uncaught exception'));

  let stopping: Promise<void> | undefined;
  const stop = (signal: string) => {
    if (stopping) return;
    logger?.info({ signal }, 'service.stopping');
    const watchdog = setTimeout(() => fail(new Error('not stopped in time'), 'stop'), STOP_DEADLINE_MS);
    watchdog.unref();
    stopping = (service?.stop() ?? Promise.resolve()).then(
      () => {
        logger?.info('service.stopped');
        exitAfterFlush(logger, 0);
      },
      (error) => fail(error, 'stop'),
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));

  try {
    ({ service, logger } = build());
    await service.start();
    if (!stopping) logger.info('service.started');
  } catch (error) {
    if (!stopping) fail(error, 'start');
  }
}

function exitAfterFlush(logger: Logger | undefined, code: number): void {
  process.exitCode = code;
  if (!logger) process.exit(code);
  logger.flush(() => process.exit(code));
  setTimeout(() => process.exit(code), 300).unref();
}
