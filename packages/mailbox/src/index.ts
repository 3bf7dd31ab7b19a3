export type { ActorEvent, Behaviour, Decision, Edges, OpenCall, ReduceContext } from './behaviour.ts';
export { createMailbox, type Mailbox } from './mailbox.ts';
export type { PartitionsHeld } from './subscriptions.ts';
