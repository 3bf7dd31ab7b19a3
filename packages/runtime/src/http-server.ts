// The HTTP server of a service: health, readiness, metrics, and JSON answers in one shape.
import type { Server } from 'node:http';
import express, { type ErrorRequestHandler, type Express } from 'express';
import type { ErrorCode } from './error-codes.ts';
import { ConfigError, errorCode, RetryableError } from './errors.ts';
import type { Health } from './health.ts';
import { errorFields, type Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

/** A request under way at a stop may take this long; a client that still sends its body, or never reads, would take for ever. */
const CLOSE_MS = 1_000;

/** Bodies over this are answered 413. */
export const MAX_BODY_BYTES = 256 * 1024;

/** An answer other than success, in the shape `{ error: { code, message } }`. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: ErrorCode;

  constructor(status: number, code: ErrorCode, message: string) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
    this.code = code;
  }
}

export interface HttpServer {
  app: Express;
  /** Binds the port. @throws ConfigError if it can't be bound. */
  listen(): Promise<void>;
  /** Stops accepting, ends idle connections and waits for requests under way, for a second at most. */
  close(): Promise<void>;
}

/**
 * An express application with `GET /healthz`, `/readyz` and `/metrics`. Routes of the service are added to `app`;
 * `listen` appends the 404 and error answers and binds.
 */
export function createHttpServer(options: {
  bindAddress: string;
  port: number;
  portVariable: string;
  health: Health;
  metrics: Metrics;
  logger: Logger;
}): HttpServer {
  const { health, metrics, logger } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.get('/healthz', (_request, response) => {
    response.json({ ok: true });
  });
  app.get('/readyz', (_request, response) => {
    const problems = health.problems();
    const ready = Object.keys(problems).length === 0;
    response.status(ready ? 200 : 503).json({ ready, problems, ...health.details() });
  });
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });

  let server: Server | undefined;
  return {
    app,
    listen() {
      app.use((_request, response) => {
        response.status(404).json({ error: { code: 'not-found', message: 'no such path' } });
      });
      app.use(answerError(logger));
      return new Promise((resolve, reject) => {
        const started = app.listen(options.port, options.bindAddress, (error?: Error) => {
          if (!error) return resolve();
          const { code } = error as NodeJS.ErrnoException;
          const isPort = code === 'EADDRINUSE' || code === 'EACCES';
          const reason = code === 'EADDRINUSE' ? 'port in use' : code === 'EACCES' ? 'not permitted' : error.message;
          const { bindAddress, port, portVariable } = options;
          const variable = isPort ? portVariable : 'BIND_ADDRESS';
          reject(new ConfigError(`${variable}: can't listen on ${bindAddress}:${port}: ${reason}`));
        });
        server = started;
      });
    },
    close() {
      return new Promise((resolve) => {
        if (!server?.listening) return resolve();
        const closing = server;
        const cut = setTimeout(() => closing.closeAllConnections(), CLOSE_MS);
        closing.close(() => {
          clearTimeout(cut);
          resolve();
        });
        closing.closeIdleConnections();
      });
    },
  };
}

function answerError(logger: Logger): ErrorRequestHandler {
  return (error, request, response, _next) => {
    if (response.headersSent) return void response.destroy();
    const { status, code, message } = toAnswer(error);
    // 503 says that something is away, which is told elsewhere; any other 5xx is a bug of ours.
    if (status === 503) logger.warn({ errorCode: code, path: request.path, status }, 'request.put-off');
    else if (status >= 500) logger.error({ ...errorFields(error), path: request.path, status }, 'request.failed');
    response.status(status).json({ error: { code, message } });
  };
}

function toAnswer(error: unknown): { status: number; code: string; message: string } {
  if (error instanceof HttpError) return error;
  // body-parser's errors carry a type and a status
  const type = (error as { type?: unknown }).type;
  if (type === 'entity.too.large')
    return { status: 413, code: 'body-too-large', message: `the body is over ${MAX_BODY_BYTES} bytes` };
  const status = (error as { status?: unknown }).status;
  if (typeof status === 'number' && status >= 400 && status < 500)
    return { status, code: 'malformed', message: 'the request could not be read' };
  if (error instanceof RetryableError)
    return { status: 503, code: errorCode(error), message: 'not available now, try again' };
  return { status: 500, code: 'internal', message: 'internal error' };
}

/** Parses JSON bodies up to 256 KiB; larger ones become 413, unparsable ones 400. */
export const jsonBody = () => express.json({ limit: MAX_BODY_BYTES, strict: false, type: () => true });
