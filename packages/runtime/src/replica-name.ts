// A process ─▶ broker, heartbeats, /readyz: by which name it is known there.
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';

/**
 * `router@host:pid:1f3a`. Host and pid alone may be those of another: containers on their host's network have its name,
 * and the same pid, each counting its own.
 */
export const replicaName = (service: string): string =>
  `${service}@${hostname()}:${process.pid}:${randomBytes(2).toString('hex')}`;
