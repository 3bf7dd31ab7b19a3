export { applyTopology } from './apply-topology.ts';
export { createBroker } from './broker.ts';
export { type DeadLetterFields, deadLetterOf } from './dead-letter-of.ts';
export { decodeBody } from './decode-body.ts';
export { drainDeadQueue } from './drain-dead-queue.ts';
export { createManagementApi, defaultManagementUrl, type ManagementApi, vhostPath } from './management-api.ts';
export type { Broker, Consumer, ConsumerOptions, Delivery, Publisher } from './types.ts';
