// WeCom simulator: the platform put together: a world with its first accounts, and how to empty it again.
import { createAccessTokens } from './access-tokens.ts';
import { createCallQuota } from './call-quota.ts';
import { type Clock, createClock } from './clock.ts';
import { addEvent } from './inbound.ts';
import { createJournal, type SentRecord } from './journal.ts';
import { opaqueId } from './random.ts';
import { defaultSettings, type SettingsPatch } from './settings.ts';
import { createAccount, type World } from './world.ts';

/** Beyond it, tokens that have ended are forgotten. */
const MAX_SYNC_TOKENS = 5000;

export type PlatformOptions = {
  corpId: string;
  secret: string;
  accounts: { openKfId: string; name: string }[];
  settings?: SettingsPatch | undefined;
  clock?: Clock | undefined;
  servicers?: string[] | undefined;
};

export function createWorld(options: PlatformOptions): World {
  const settings = { ...defaultSettings };
  applySettings(settings, options.settings ?? {});
  const clock = options.clock ?? createClock();
  const accounts = options.accounts.map(({ openKfId, name }) => [openKfId, createAccount(openKfId, name)] as const);
  return {
    settings,
    clock,
    journal: createJournal(),
    tokens: createAccessTokens({ corpId: options.corpId, secret: options.secret }, settings, clock),
    quota: createCallQuota(clock),
    accounts: new Map(accounts),
    syncTokens: new Map(),
    eventCodes: new Map(),
    media: new Map(),
    nicknames: new Map(),
    servicers: new Set(options.servicers ?? ['servicer-demo']),
    totals: { messages: 0, pulled: 0 },
  };
}

/** Changes only what the patch names; the object stays the same, everything reads it live. */
export function applySettings(settings: World['settings'], patch: SettingsPatch): void {
  for (const [name, value] of Object.entries(patch)) {
    if (value !== undefined) Object.assign(settings, { [name]: value });
  }
}

/**
 * Forgets messages, customers, records and settings, back to the start; access tokens and cursors that
 * clients hold stay good, so that running services aren't disturbed.
 */
export function resetWorld(world: World, settings: SettingsPatch): void {
  Object.assign(world.settings, defaultSettings);
  applySettings(world.settings, settings);
  world.clock.setOffset(0);
  for (const account of world.accounts.values()) {
    account.log.clear();
    account.customers.clear();
    account.usedMsgids.clear();
    account.indexByMsgid.clear();
  }
  world.syncTokens.clear();
  world.eventCodes.clear();
  world.media.clear();
  world.nicknames.clear();
  Object.assign(world.totals, { messages: 0, pulled: 0 });
  world.quota.clear();
  world.journal.clear();
  world.journal.emit('reset', world.clock.realMs(), {});
}

/** A token for sync_msg, as callbacks carry it. */
export function issueSyncToken(world: World): string {
  if (world.syncTokens.size > MAX_SYNC_TOKENS) dropEnded(world);
  const token = `ENC${opaqueId(60)}`;
  world.syncTokens.set(token, world.clock.nowMs() + world.settings.syncTokenTtlMs);
  return token;
}

function dropEnded(world: World): void {
  for (const [token, endsAt] of world.syncTokens) if (endsAt <= world.clock.nowMs()) world.syncTokens.delete(token);
}

/** Raises msg_send_fail for a send accepted earlier. */
export function failSent(world: World, sent: SentRecord, failType: number): void {
  const account = world.accounts.get(sent.openKfId);
  if (account === undefined) return;
  sent.failType = failType;
  addEvent(world, account, {
    event_type: 'msg_send_fail',
    external_userid: sent.externalUserId,
    fail_msgid: sent.msgid,
    fail_type: failType,
  });
  const { openKfId, externalUserId, msgid } = sent;
  world.journal.emit('sendFailed', world.clock.realMs(), { openKfId, externalUserId, msgid, failType });
}
