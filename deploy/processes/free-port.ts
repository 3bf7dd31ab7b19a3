// npm start, npm test: which port each part listens on. A default that is taken is replaced, one that was set is not.
import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';
import { StartError } from './start-error.ts';

const CONNECT_MS = 300;
const FIRST_PORT = 10_240;
const LAST_PORT = 32_000;

/** @param options what the services bind to */
export function createPortPicker({ bindAddress = '127.0.0.1' }: { bindAddress?: string } = {}) {
  const given: Map<number, string> = new Map();

  const isFree = async (port: number) => {
    if (given.has(port) || (await answers(port))) return false;
    for (const host of new Set(['127.0.0.1', bindAddress])) {
      const code = await tryToListen(port, host);
      if (code === 'EADDRINUSE') return false;
      if (code === 'EACCES') throw forbidden(port);
      if (code !== undefined) throw noAddress(host, code);
    }
    return true;
  };

  return {
    /** The default, or a free one in its place; without a default any free one. */
    async pick(owner: string, preferred?: number) {
      const port = preferred !== undefined && (await isFree(preferred)) ? preferred : await anyFree(isFree);
      given.set(port, owner);
      return { port, isReplaced: preferred !== undefined && port !== preferred };
    },

    /**
     * A port that an environment variable may set.
     * @param env @throws {StartError} when the variable is set to something that is no port, or one that can't be listened on
     */
    async pickSet(variable: string, preferred: number, env: NodeJS.ProcessEnv) {
      const value = env[variable];
      if (value === undefined || value === '') return this.pick(variable, preferred);
      const port = Number(value);
      if (!Number.isInteger(port) || port < 1 || port > 65_535) {
        throw new StartError(
          'ports',
          `${variable}=${value} is not a port number`,
          `Set ${variable} to 1…65535 or leave it out.`,
        );
      }
      if (!(await isFree(port))) {
        const other = given.get(port);
        throw new StartError(
          'ports',
          `${variable}=${port} is taken${other ? ` by ${other}` : ' by another process'}`,
          `Free it, or set ${variable} to another port, or leave it out: then a free one is used.`,
        );
      }
      given.set(port, variable);
      return { port, isReplaced: false };
    },
  };
}

/** A listener on another address of this machine (or on a wildcard) may not stop us from listening, but would confuse. */
function answers(port: number) {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (isTaken: boolean) => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.setTimeout(CONNECT_MS, () => end(true));
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

/** @returns the error's code, if it can't be done */
function tryToListen(port: number, host: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

const noAddress = (host: string, code: string) =>
  new StartError(
    'ports',
    `BIND_ADDRESS=${host} is no address of this machine (${code})`,
    'Set BIND_ADDRESS to one of its addresses, to 0.0.0.0 for all of them, or leave it out: then it is 127.0.0.1.',
  );

const forbidden = (port: number) =>
  new StartError(
    'ports',
    `port ${port} may not be listened on by this user (EACCES)`,
    'Ports below 1024 are usually for root only: choose a higher one.',
  );

/**
 * Below the range from which systems take ports for outgoing connections: one of those could take the place of a server
 * while that restarts.
 */
async function anyFree(isFree: (port: number) => Promise<boolean>) {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (await isFree(port)) return port;
  }
}
