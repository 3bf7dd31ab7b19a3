// WeCom simulator: what tests and people do to it; the HTTP control API and in-process tests share this.
import type { CallbackConfig, Doorbell, RingRecord, UrlCheckResult } from './doorbell/doorbell.ts';
import type { Fault, FaultInput, Faults } from './faults.ts';
import type { LogEntry, LogItem } from './platform/account-log.ts';
import { addCustomerMessage, addItem, enterSession } from './platform/inbound.ts';
import type { CallCounts, FaultHit, JournalEvent, RefusedRecord, SendOverlap, SentRecord } from './platform/journal.ts';
import { addPixel } from './platform/media.ts';
import { applySettings, failSent, issueSyncToken, resetWorld } from './platform/platform.ts';
import { moveSessionByHuman } from './platform/service-state.ts';
import type { Settings, SettingsPatch } from './platform/settings.ts';
import {
  type Account,
  createAccount,
  customerOf,
  describeCustomer,
  type SessionState,
  type World,
} from './platform/world.ts';

export type MessageInput = {
  externalUserId?: string | undefined;
  /** The first account when absent. */
  openKfId?: string | undefined;
  /** text when absent. */
  msgtype?: string | undefined;
  /** Of a text. */
  content?: string | undefined;
  /** Of other types, the object named after `msgtype`; an image without one gets a file. */
  body?: Record<string, unknown> | undefined;
  /** Unix seconds; now when absent. */
  sendTime?: number | undefined;
  msgid?: string | undefined;
  /** The item as it is, whatever it looks like; the fields above except `openKfId` are then ignored. */
  raw?: LogItem | undefined;
};

export type MessageAdded = { msgid: string | null; sendTime: number };

/** A customer's item with its times: `injectedAt`, `firstReturnedAt` in epoch ms of this machine. */
export type MessageRecord = {
  msgid: unknown;
  externalUserId: unknown;
  openKfId: string;
  sendTime: number;
  injectedAt: number;
  firstReturnedAt: number | null;
  returnedTimes: number;
  item: LogItem;
};

/** `after` is a log index, exclusive. */
export type MessageFilter = { user?: string | undefined; openKfId?: string | undefined; after?: number | undefined };

/** Thrown for a wish that makes no sense; over HTTP it becomes status 400 or 404. */
export class ControlError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export type Control = ReturnType<typeof createControl>;

export type ControlParts = { world: World; faults: Faults; doorbell: Doorbell; settings: SettingsPatch };

export function createControl({ world, faults, doorbell, settings }: ControlParts) {
  const accountOf = (openKfId: string | undefined): Account => {
    const account = openKfId === undefined ? world.accounts.values().next().value : world.accounts.get(openKfId);
    if (account === undefined) throw new ControlError(404, `no KF account ${openKfId ?? ''}`);
    return account;
  };

  const bodyOf = (input: MessageInput, msgtype: string): Record<string, unknown> | null => {
    if (input.body !== undefined) return input.body;
    if (msgtype === 'text') return { content: input.content ?? '' };
    if (['image', 'voice', 'video', 'file'].includes(msgtype)) return { media_id: addPixel(world).mediaId };
    return null;
  };

  const addOne = (input: MessageInput): { account: Account; entry: LogEntry } => {
    const account = accountOf(input.openKfId);
    if (input.raw !== undefined) return { account, entry: addItem(world, account, input.raw) };
    const { externalUserId, msgtype = 'text', sendTime, msgid } = input;
    if (externalUserId === undefined) throw new ControlError(400, 'externalUserId is missing');
    const message = { externalUserId, openKfId: account.openKfId, msgtype, sendTime, msgid };
    return { account, entry: addCustomerMessage(world, account, { ...message, body: bodyOf(input, msgtype) }) };
  };

  return {
    /** A customer writes; rings the doorbell when one is set. */
    sendMessage(input: MessageInput): MessageAdded {
      const { account, entry } = addOne(input);
      doorbell.ring(account.openKfId);
      return added(entry);
    },
    /** Many at once, in this order; the doorbell rings once per account. */
    sendMessages(inputs: readonly MessageInput[]): MessageAdded[] {
      const rung = new Set<string>();
      const results = inputs.map((input) => {
        const { account, entry } = addOne(input);
        rung.add(account.openKfId);
        return added(entry);
      });
      for (const openKfId of rung) doorbell.ring(openKfId);
      return results;
    },
    enterSession(input: {
      externalUserId: string;
      openKfId?: string | undefined;
      scene?: string | undefined;
      sceneParam?: string | undefined;
    }) {
      const account = accountOf(input.openKfId);
      const { externalUserId, scene = '', sceneParam = '' } = input;
      const { logEntry, welcomeCode } = enterSession(world, account, { externalUserId, scene, sceneParam });
      doorbell.ring(account.openKfId);
      return { ...added(logEntry), welcomeCode: welcomeCode ?? null };
    },
    /** A human in the WeCom client moves the session; raises session_status_change. */
    moveSession(input: {
      externalUserId: string;
      openKfId?: string | undefined;
      state: SessionState;
      servicerUserId?: string | undefined;
    }): void {
      const account = accountOf(input.openKfId);
      const customer = customerOf(account, input.externalUserId);
      moveSessionByHuman(world, account, customer, input.state, input.servicerUserId ?? 'servicer-demo');
      doorbell.ring(account.openKfId);
    },
    setNickname(externalUserId: string, nickname: string): void {
      world.nicknames.set(externalUserId, nickname);
    },
    addAccount(openKfId: string, name = openKfId): void {
      if (!world.accounts.has(openKfId)) world.accounts.set(openKfId, createAccount(openKfId, name));
    },
    /** Raises msg_send_fail for a send accepted earlier. */
    failSend(input: { msgid: string; failType: number; openKfId?: string | undefined }): void {
      const account = accountOf(input.openKfId);
      const sent = world.journal.sentByMsgid(account.openKfId, input.msgid);
      if (sent === undefined) throw new ControlError(404, `no accepted send with msgid ${input.msgid}`);
      failSent(world, sent, input.failType);
      doorbell.ring(account.openKfId);
    },
    addFault: (fault: FaultInput): Fault => faults.add(fault),
    removeFaults: (id?: string): number => faults.remove(id),
    faults: (): Fault[] => faults.list(),
    revokeTokens: (): number => world.tokens.revoke(),
    setClock: (offsetMs: number): void => world.clock.setOffset(offsetMs),
    advanceClock: (byMs: number): void => world.clock.setOffset(world.clock.offsetMs() + byMs),
    changeSettings(patch: SettingsPatch): Settings {
      applySettings(world.settings, patch);
      return { ...world.settings };
    },
    settings: (): Settings => ({ ...world.settings }),
    /** A token for sync_msg as a callback would carry it. */
    issueSyncToken: (): string => issueSyncToken(world),
    setCallback: (config: CallbackConfig | undefined): void => doorbell.configure(config),
    checkCallbackUrl: (): Promise<UrlCheckResult> => doorbell.checkUrl(),
    ring: (openKfId?: string): void => doorbell.ring(accountOf(openKfId).openKfId),
    rings: (): RingRecord[] => doorbell.rings(),
    /** Accepted sends in order; `since` is epoch ms of acceptance, exclusive. */
    sent: (filter: { user?: string | undefined; since?: number | undefined } = {}): SentRecord[] =>
      world.journal.sent(filter),
    refused: (filter: { user?: string | undefined } = {}): RefusedRecord[] =>
      world.journal.refused().filter((record) => filter.user === undefined || record.externalUserId === filter.user),
    /** Sends to one customer that were under way at once. */
    sendOverlaps: (): SendOverlap[] => world.journal.sendOverlaps(),
    /** Everything as it happens, what the chat page gets too. @returns how to stop listening */
    listen: (listener: (event: JournalEvent) => void): (() => void) => world.journal.listen(listener),
    /** The calls that faults on command met. */
    faultHits: (): FaultHit[] => world.journal.faultHits(),
    calls: (): Record<string, CallCounts> => world.journal.calls(),
    /** Every item of an account's log in order, or one customer's own messages. */
    messages(filter: MessageFilter = {}): MessageRecord[] {
      const account = accountOf(filter.openKfId);
      const { log } = account;
      const after = filter.after ?? -1;
      const all = filter.user === undefined ? range(log.firstIndex(), log.endIndex()) : indexesOf(account, filter.user);
      const entries = all.filter((index) => index > after).map((index) => log.entry(index));
      return entries.filter((entry) => entry !== undefined).map((entry) => messageRecord(account, entry));
    },
    message(msgid: string, openKfId?: string): MessageRecord | undefined {
      const account = accountOf(openKfId);
      const index = account.indexByMsgid.get(msgid);
      const entry = index === undefined ? undefined : account.log.entry(index);
      return entry === undefined ? undefined : messageRecord(account, entry);
    },
    customer(externalUserId: string, openKfId?: string): Record<string, unknown> | undefined {
      const customer = accountOf(openKfId).customers.get(externalUserId);
      return customer === undefined ? undefined : describeCustomer(world, customer);
    },
    /** A summary; `customers` holds the newest `limit` only. */
    state(limit = 200) {
      const accounts = [...world.accounts.values()].map((account) => ({
        openKfId: account.openKfId,
        name: account.name,
        items: account.log.endIndex() - account.log.firstIndex(),
        endIndex: account.log.endIndex(),
        customerCount: account.customers.size,
        customers: [...account.customers.values()].slice(-limit).map((customer) => describeCustomer(world, customer)),
      }));
      return {
        now: world.clock.nowMs(),
        offsetMs: world.clock.offsetMs(),
        lastEventSeq: world.journal.lastEventSeq(),
        sent: world.journal.sentCount(),
        refused: world.journal.refused().length,
        settings: { ...world.settings },
        faults: faults.list(),
        callback: doorbell.config()?.url ?? null,
        accounts,
      };
    },
    reset(): void {
      faults.remove();
      doorbell.clear();
      resetWorld(world, settings);
    },
  };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, offset) => from + offset);
}

function indexesOf(account: Account, externalUserId: string): number[] {
  return account.customers.get(externalUserId)?.messageIndexes ?? [];
}

function added(entry: LogEntry): MessageAdded {
  const { msgid } = entry.item;
  return { msgid: typeof msgid === 'string' ? msgid : null, sendTime: entry.sendTime };
}

function messageRecord(account: Account, entry: LogEntry): MessageRecord {
  return {
    msgid: entry.item.msgid ?? null,
    externalUserId: entry.item.external_userid ?? null,
    openKfId: account.openKfId,
    sendTime: entry.sendTime,
    injectedAt: entry.injectedAt,
    firstReturnedAt: entry.firstReturnedAt ?? null,
    returnedTimes: entry.returnedTimes,
    item: entry.item,
  };
}
