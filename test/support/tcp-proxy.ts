// A TCP proxy in front of a real server, for network faults: silence in one direction or both, cuts, refusals.
import { connect, createServer, type Server, type Socket } from 'node:net';

/** `up` is from client to server, `down` from server to client. */
export type Direction = 'up' | 'down';

export interface TcpProxy {
  port: number;
  /** The server's URL with the proxy's host and port in it. */
  through(url: string): string;
  /** Silence: bytes are held back, connections stay open (new ones too). Both directions unless one is named. */
  pause(...directions: Direction[]): void;
  /** Lets the bytes held back, and all others, pass. */
  resume(): void;
  /** Ends the open connections with a reset; new ones are welcome. */
  cut(): void;
  /** As if nobody listened, from now on. Open connections stay: `cut` them. */
  refuse(): Promise<void>;
  /** Listens again on the same port. */
  accept(): Promise<void>;
  /** Connections open now. */
  connections(): number;
  close(): Promise<void>;
}

/** @param targets each `host:port`, or a URL that holds it; of several they take turns, and one that refuses is passed over */
export async function startTcpProxy(...targets: string[]): Promise<TcpProxy> {
  const addresses = targets.map((target) => new URL(target.includes('://') ? target : `tcp://${target}`));
  let turns = 0;
  const pairs = new Set<Record<Direction, Socket>>();
  const paused = new Set<Direction>();

  const apply = (pair: Record<Direction, Socket>) => {
    // What is to go up is read from the client's socket.
    for (const direction of ['up', 'down'] as const) {
      if (paused.has(direction)) pair[direction].pause();
      else pair[direction].resume();
    }
  };
  const pump = (from: Socket, to: Socket, direction: Direction) => {
    from.on('data', (bytes) => {
      if (!to.write(bytes)) from.pause();
    });
    to.on('drain', () => {
      if (!paused.has(direction)) from.resume();
    });
    from.on('end', () => to.end());
    from.on('error', () => to.destroy()); // whatever went wrong there is shown here as a broken connection
  };
  const welcome = (client: Socket) => {
    client.setNoDelay(true);
    client.pause();
    client.on('error', () => {}); // 'close' follows
    reach(client, addresses.length);
  };
  const reach = (client: Socket, attemptsLeft: number) => {
    const { hostname, port: targetPort } = addresses[turns++ % addresses.length] as URL;
    const server = connect({ host: hostname, port: Number(targetPort), noDelay: true });
    const refused = () => {
      if (attemptsLeft > 1 && !client.destroyed) reach(client, attemptsLeft - 1);
      else client.destroy();
    };
    server.once('error', refused);
    server.once('connect', () => {
      server.off('error', refused);
      join(client, server);
    });
  };
  const join = (client: Socket, server: Socket) => {
    if (client.destroyed) return void server.destroy();
    const pair = { up: client, down: server };
    pairs.add(pair);
    pump(client, server, 'up');
    pump(server, client, 'down');
    let open = 2;
    for (const socket of [client, server])
      socket.on('close', () => {
        if (--open === 0) pairs.delete(pair);
        else (socket === client ? server : client).destroy();
      });
    apply(pair);
  };

  let listener: Server | null = null;
  let port = 0;
  const listen = () =>
    new Promise<void>((resolve, reject) => {
      const opened = createServer(welcome);
      opened.once('error', reject);
      opened.listen(port, '127.0.0.1', () => {
        listener = opened;
        port = (opened.address() as { port: number }).port;
        resolve();
      });
    });
  await listen();

  const proxy: TcpProxy = {
    get port() {
      return port;
    },
    through(url) {
      const changed = new URL(url);
      changed.hostname = '127.0.0.1';
      changed.port = String(port);
      if (changed.protocol === 'mongodb:') {
        // As a replica set member it would tell its clients its own address.
        changed.searchParams.delete('replicaSet');
        changed.searchParams.set('directConnection', 'true');
      }
      return changed.href;
    },
    pause(...directions) {
      for (const direction of directions.length > 0 ? directions : (['up', 'down'] as const)) paused.add(direction);
      pairs.forEach(apply);
    },
    resume() {
      paused.clear();
      pairs.forEach(apply);
    },
    cut() {
      for (const { up, down } of pairs) {
        up.resetAndDestroy();
        down.resetAndDestroy();
      }
    },
    async refuse() {
      // Its callback would wait for the open connections too.
      listener?.close();
      listener = null;
    },
    async accept() {
      if (!listener) await listen();
    },
    connections: () => pairs.size,
    async close() {
      await proxy.refuse();
      proxy.cut();
    },
  };
  return proxy;
}
