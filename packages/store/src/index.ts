export * from './actors.ts';
export type { BindingCode, BindingOutcome } from './binding-codes.ts';
export { EXPIRED_CODE_MEMORY_MS } from './binding-codes.ts';
export type { Binding } from './bindings.ts';
export type { DeadLetter, DeadLetterState, NewDeadLetter } from './dead-letters.ts';
export {
  type Delivery,
  type DeliveryPart,
  deliveryMsgidWrite,
  deliveryWrite,
  type KnownDelivery,
} from './deliveries.ts';
export { grouped } from './grouped.ts';
export type { Instance, InstanceFields } from './instances.ts';
export { openStore, type Store } from './open-store.ts';
export { processedIdsWrite } from './processed-ids.ts';
export { originalId, replayId, replayNumber } from './replay-ids.ts';
export type { Replica, SeenReplica } from './replicas.ts';
export type { SideWrite } from './side-writes.ts';
export { isDuplicateKey, isStoreAway } from './store-errors.ts';
export type { SyncCursor } from './sync-cursors.ts';
export type { WaitingTexts } from './waiting-texts.ts';
