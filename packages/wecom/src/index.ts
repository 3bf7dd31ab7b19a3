// The platform's API: what we call, what it answers, and what it sends us.
export { createMemoryTokenStore, type StoredToken, type TokenStore } from './access-token.ts';
export { type CallQuota, createCallQuota, type QuotaStore } from './call-quota.ts';
export {
  type CallbackCrypto,
  type CallbackCryptoOptions,
  createCallbackCrypto,
  type SignedCallback,
} from './callback-crypto.ts';
export {
  createWecomClient,
  type EventReply,
  type SyncPage,
  type WecomClient,
  type WecomClientOptions,
} from './client.ts';
export { type ConfigurationProblem, GETTOKEN } from './configuration-problem.ts';
export { describeErrcode, type ErrcodeClass, type ErrcodeEntry, errcodes } from './errcodes.ts';
export type { Media } from './media.ts';
export type { QuotaLimits, QuotaState } from './quota-windows.ts';
export {
  type CustomerItem,
  type EventItem,
  type MalformedItem,
  parseSyncItem,
  type ServicerItem,
  type SyncItem,
} from './sync-items.ts';
export {
  isWecomError,
  noAnswer,
  quotaSpent,
  refusal,
  type WecomError,
  type WecomFailure,
  WecomPermanentError,
  WecomRetryableError,
} from './wecom-error.ts';
