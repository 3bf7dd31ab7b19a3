// WeCom simulator: the state everything shares: accounts, customers, codes, files, journal.
import type { AccessTokens } from './access-tokens.ts';
import { type AccountLog, createAccountLog } from './account-log.ts';
import type { CallQuota } from './call-quota.ts';
import type { Clock } from './clock.ts';
import type { Journal } from './journal.ts';
import type { Settings } from './settings.ts';

/** 0 new, 1 smart assistant, 2 queued, 3 human, 4 ended or not begun. */
export type SessionState = 0 | 1 | 2 | 3 | 4;

/** One person as one KF account knows them. */
export type Customer = {
  externalUserId: string;
  openKfId: string;
  /** Sends left in the present allowance. */
  remaining: number;
  /** Platform's epoch ms of the newest message; the window runs from here. Nothing before the first one. */
  lastMessageMs: number | undefined;
  /** Platform's epoch ms of the last entering, message or none. */
  lastEnterMs: number | undefined;
  welcomedMs: number | undefined;
  session: SessionState;
  servicerUserId: string | undefined;
  /** Log indexes of this customer's own messages. */
  messageIndexes: number[];
};

export type Account = {
  openKfId: string;
  name: string;
  log: AccountLog;
  customers: Map<string, Customer>;
  /** msgids of sends that can't be used again. */
  usedMsgids: Set<string>;
  /** Log index by msgid of the item, for figures. */
  indexByMsgid: Map<string, number>;
};

export type EventCode = {
  kind: 'welcome' | 'queued' | 'taken' | 'ended';
  openKfId: string;
  externalUserId: string;
  /** Platform's epoch ms. */
  expiresAt: number;
  /** The session must still be in this state (the welcome's excepted). */
  session: SessionState;
};

export type MediaFile = {
  mediaId: string;
  type: string;
  name: string;
  contentType: string;
  bytes: Buffer;
  createdAtS: number;
};

export type World = {
  settings: Settings;
  clock: Clock;
  journal: Journal;
  tokens: AccessTokens;
  quota: CallQuota;
  accounts: Map<string, Account>;
  /** Of sync_msg, by token: platform's epoch ms at which it ends. */
  syncTokens: Map<string, number>;
  eventCodes: Map<string, EventCode>;
  media: Map<string, MediaFile>;
  nicknames: Map<string, string>;
  servicers: Set<string>;
  /** Customers' messages written, and those that reached a caller of sync_msg. */
  totals: { messages: number; pulled: number };
};

export function createAccount(openKfId: string, name: string): Account {
  return {
    openKfId,
    name,
    log: createAccountLog(),
    customers: new Map(),
    usedMsgids: new Set(),
    indexByMsgid: new Map(),
  };
}

/** The customer of this account, made on first sight. */
export function customerOf(account: Account, externalUserId: string): Customer {
  let customer = account.customers.get(externalUserId);
  if (customer === undefined) {
    customer = {
      externalUserId,
      openKfId: account.openKfId,
      remaining: 0,
      lastMessageMs: undefined,
      lastEnterMs: undefined,
      welcomedMs: undefined,
      session: 4,
      servicerUserId: undefined,
      messageIndexes: [],
    };
    account.customers.set(externalUserId, customer);
  }
  return customer;
}

/** What the chat page and the control API show of a customer. */
export function describeCustomer(world: World, customer: Customer): Record<string, unknown> {
  const { lastMessageMs } = customer;
  const windowEndsAt = lastMessageMs === undefined ? null : lastMessageMs + world.settings.windowMs;
  const isOpen = windowEndsAt !== null && windowEndsAt > world.clock.nowMs();
  return {
    externalUserId: customer.externalUserId,
    openKfId: customer.openKfId,
    nickname: world.nicknames.get(customer.externalUserId) ?? customer.externalUserId,
    remaining: isOpen ? customer.remaining : 0,
    allowance: world.settings.allowance,
    windowEndsAt,
    session: customer.session,
  };
}
