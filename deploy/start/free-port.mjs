// npm start, npm test: which port each part listens on. A default that is taken is replaced, one that was set is not.
import { connect, createServer } from 'node:net';
import { StartError } from './start-error.mjs';

const CONNECT_MS = 300;

/** @param {{ bindAddress?: string }} [options] what the services bind to */
export function createPortPicker({ bindAddress = '127.0.0.1' } = {}) {
  /** @type {Map<number, string>} ports given out in this run, not listened on yet */
  const given = new Map();

  const isFree = async (/** @type {number} */ port) =>
    !given.has(port) &&
    !(await answers(port)) &&
    (await canListen(port, '127.0.0.1')) &&
    (await canListen(port, bindAddress));

  return {
    /** The default, or a free one in its place; without a default any free one. @param {string} owner @param {number} [preferred] */
    async pick(owner, preferred) {
      const port = preferred !== undefined && (await isFree(preferred)) ? preferred : await anyFree(isFree);
      given.set(port, owner);
      return { port, isReplaced: preferred !== undefined && port !== preferred };
    },

    /**
     * A port that an environment variable may set.
     * @param {string} variable @param {number} preferred @param {NodeJS.ProcessEnv} env
     * @throws {StartError} when the variable is set to something that is no port, or a taken one
     */
    async pickSet(variable, preferred, env) {
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
function answers(/** @type {number} */ port) {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (/** @type {boolean} */ isTaken) => {
      socket.destroy();
      resolve(isTaken);
    };
    socket.setTimeout(CONNECT_MS, () => end(true));
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

function canListen(/** @type {number} */ port, /** @type {string} */ host) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function anyFree(/** @type {(port: number) => Promise<boolean>} */ isFree) {
  for (;;) {
    const port = await new Promise((resolve, reject) => {
      const server = createServer().once('error', reject);
      server.listen({ port: 0, host: '127.0.0.1' }, () => {
        const address = /** @type {import('node:net').AddressInfo} */ (server.address());
        server.close(() => resolve(address.port));
      });
    });
    if (await isFree(port)) return port;
  }
}
