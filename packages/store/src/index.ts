export * from './collections/actors.ts';
export type { BindingCode, BindingOutcome } from './collections/binding-codes.ts';
export { EXPIRED_CODE_MEMORY_MS } from './collections/binding-codes.ts';
export type { Binding } from './collections/bindings.ts';
export type { DeadLetter, DeadLetterState, NewDeadLetter } from './collections/dead-letters.ts';
export {
  type NewStoredText,
  type StoredPart,
  type StoredText,
  storedMsgidWrite,
  storedTextWrite,
} from './collections/deliveries.ts';
export type { Instance, InstanceFields } from './collections/instances.ts';
export { processedIdsWrite } from './collections/processed-ids.ts';
export type { Replica, SeenReplica } from './collections/replicas.ts';
export type { SyncCursor } from './collections/sync-cursors.ts';
export type { WaitingTexts } from './collections/waiting-texts.ts';
export { grouped } from './grouped.ts';
export { openStore, type Store } from './open-store.ts';
export { originalId, replayId, replayNumber } from './replay-ids.ts';
export type { SideWrite } from './side-writes.ts';
export { isDuplicateKey, isStoreAway } from './store-errors.ts';
