// RabbitMQ's management API: what AMQP can't do, namely policies and reading back what exists.
import { ConfigError, describeError, RetryableError } from '@pipeline/runtime';

const TIMEOUT_MS = 10_000;

export interface ManagementApi {
  get<T>(path: string): Promise<T>;
  put(path: string, body: unknown): Promise<void>;
  remove(path: string): Promise<void>;
}

/** `http://<host and user of the AMQP URL>:15672` */
export function defaultManagementUrl(amqpUrl: string): string {
  const url = new URL(amqpUrl);
  const user = url.username ? `${url.username}:${url.password}@` : 'guest:guest@';
  return `http://${user}${url.hostname}:15672`;
}

/** A connection that was there broke; fetch wraps what happened to the socket. */
const isConnectionLost = (error: unknown): boolean =>
  ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(String((error as { cause?: { code?: unknown } }).cause?.code));

/** @param managementUrl base URL with user and password in it */
export function createManagementApi(managementUrl: string): ManagementApi {
  const url = new URL(managementUrl);
  const credentials = `${decodeURIComponent(url.username || 'guest')}:${decodeURIComponent(url.password || 'guest')}`;
  const authorization = `Basic ${Buffer.from(credentials).toString('base64')}`;
  const base = `${url.protocol}//${url.host}${url.pathname.replace(/\/$/, '')}`;

  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const ask = () =>
      fetch(`${base}/api${path}`, {
        method,
        headers: { authorization, 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
    let response: Response;
    try {
      // Each call may be repeated. A connection kept alive may have been closed by the broker a moment ago.
      response = await ask().catch((cause) => (isConnectionLost(cause) ? ask() : Promise.reject(cause)));
    } catch (cause) {
      throw new RetryableError(
        'management-away',
        `the management API at ${base} does not answer: ${describeError(cause)}`,
      );
    }
    if (response.status === 401) {
      const { reason } = (await response.json().catch(() => ({}))) as { reason?: string };
      throw new ConfigError(`RABBITMQ_MANAGEMENT_URL: ${base} refuses its user: ${reason ?? 'no reason given'}`);
    }
    // Gone already, by an earlier try perhaps.
    if (response.status === 404 && method === 'DELETE') return response;
    if (response.status >= 500)
      throw new RetryableError('management-away', `the management API at ${base} answers ${response.status}`);
    if (!response.ok)
      throw new ConfigError(
        `the management API refused ${method} ${path}: ${response.status} ${await response.text()}`,
      );
    return response;
  };
  return {
    get: async <T>(path: string) => (await call('GET', path)).json() as Promise<T>,
    put: async (path, body) => {
      await call('PUT', path, body);
    },
    remove: async (path) => {
      await call('DELETE', path);
    },
  };
}

/** The vhost of an AMQP URL (none or `/` alone is the default vhost), ready for a management API path. */
export function vhostPath(amqpUrl: string): string {
  const name = decodeURIComponent(new URL(amqpUrl).pathname.slice(1));
  return encodeURIComponent(name === '' ? '/' : name);
}
