export type { ActorEvent, ActorTypes, Behaviour, Decision, Edges, OpenCall, ReduceContext } from './behaviour.ts';
export { type FaultPoint, faultPointOf } from './fault-point.ts';
export { Mailbox } from './mailbox.ts';
export type { PartitionsHeld } from './partitions/subscriptions.ts';
