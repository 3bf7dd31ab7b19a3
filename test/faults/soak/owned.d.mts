// Types of owned.mjs, which builds on the plain JavaScript of deploy/start.

export interface OwnServers {
  amqpUrl: string;
  managementUrl: string;
  mongoUri: string;
  /** @throws Error when it fails */
  rabbitmqctl(...args: string[]): Promise<void>;
  /** kill -9; its supervisor starts it again on the same data and ports. @returns false: it wasn't running */
  kill(name: 'rabbitmq' | 'mongodb'): boolean;
  isUp(name: 'rabbitmq' | 'mongodb'): Promise<boolean>;
  stop(): Promise<void>;
}

export interface OwnService {
  name: string;
  port: number;
  /** Undefined while it isn't running. */
  pid(): number | undefined;
  /** Since its last start. */
  ageMs(): number;
  isReady(): boolean;
  whenReady(): Promise<unknown>;
  /** @returns false: it wasn't running */
  signal(signal: NodeJS.Signals): boolean;
  stop(): Promise<void>;
}

export interface Owner {
  startServers(): Promise<OwnServers>;
  startService(options: { name: string; main: string; env: Record<string, string>; port: number }): OwnService;
  /** Ends every service that was started, however the run went. */
  endServices(): Promise<void>;
}

/** @param directory for data and records of processes @param logs where every process writes `<name>.log` */
export declare function createOwner(directory: string, logs: string): Owner;
