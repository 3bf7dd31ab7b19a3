// Bridge simulator: one HTTP listener per port, each port an agent instance of its own.
import { setMaxListeners } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export type Listeners = {
  /** 0 takes any free port. Opening a port that is open already changes nothing. */
  open(port: number): Promise<number>;
  /** Cuts connections and ends tasks without a callback, as a dying container would; false when it wasn't open. */
  close(port: number): Promise<boolean>;
  ports(): number[];
  closeAll(): Promise<void>;
};

export function createListeners(
  address: string,
  handle: (instance: { port: number; dying: AbortSignal }) => RequestListener,
): Listeners {
  const open = new Map<number, { server: Server; death: AbortController }>();

  const stop = ({ server, death }: { server: Server; death: AbortController }) =>
    new Promise<void>((resolve) => {
      death.abort();
      server.close(() => resolve());
      server.closeAllConnections();
    });

  return {
    async open(wanted) {
      if (open.has(wanted)) return wanted;
      const server = createServer();
      server.keepAliveTimeout = 65_000;
      const port = await new Promise<number>((resolve, reject) => {
        server.once('error', reject);
        server.listen(wanted, address, () => resolve((server.address() as AddressInfo).port));
      });
      const death = new AbortController();
      setMaxListeners(0, death.signal);
      server.on('request', handle({ port, dying: death.signal }));
      open.set(port, { server, death });
      return port;
    },
    async close(port) {
      const listener = open.get(port);
      open.delete(port);
      if (listener !== undefined) await stop(listener);
      return listener !== undefined;
    },
    ports: () => [...open.keys()],
    async closeAll() {
      const all = [...open.values()];
      open.clear();
      await Promise.all(all.map(stop));
    },
  };
}
