// ingest: one page of sync_msg ─▶ the mailboxes. Each user's items in order, one at a time; users side by side.
import { createHash } from 'node:crypto';
import {
  describeError,
  errorCode,
  errorFields,
  type Logger,
  type Metrics,
  PermanentError,
  RetryableError,
} from '@pipeline/runtime';
import type { Store } from '@pipeline/store';
import { parseSyncItem } from '@pipeline/wecom';
import { type ClassifiedItem, classifyItem } from './classify-item.ts';
import type { PublishItem } from './publish-item.ts';

const USERS_SIDE_BY_SIDE = 100;
const MAX_DEATHS = 3;

export interface Page {
  openKfId: string;
  items: readonly unknown[];
  /** Epoch ms, database clock. */
  receivedAt: number;
  /** Epoch ms; messages sent earlier are only recorded. */
  notBefore: number;
  /** The process has died over this page before: one item after the other, each counted before it is touched. */
  isSuspect: boolean;
  /** Abandons the page at the next item. */
  signal: AbortSignal;
}

/**
 * @returns how many items there were, by kind
 * @throws RetryableError or `publish-unroutable` if anything could not be published: the page must be read again
 */
export type PublishPage = (page: Page) => Promise<Record<string, number>>;

type Addressed = Extract<ClassifiedItem, { externalUserId: string }>;
type Entry = { item: Addressed; raw: unknown };
/** What an item counts as. */
type Seen = [kind: string, type: string];

export function createPublishPage(deps: {
  publishItem: PublishItem;
  deadLetters: Pick<Store['deadLetters'], 'keep'>;
  poisonCounts: Pick<Store['poisonCounts'], 'raise' | 'clear'>;
  /** Epoch ms. */
  now: () => number;
  logger: Logger;
  metrics: Metrics;
}): PublishPage {
  const { publishItem, deadLetters, poisonCounts, now, logger, metrics } = deps;
  const counted = metrics.counter('ingest_items_total', 'Items of published pages', ['kind', 'type']);
  const lag = metrics.seconds('ingest_lag_seconds', 'From send_time to the mailbox');

  const giveUp = async ({ openKfId }: Page, raw: unknown, error: unknown, item?: Addressed): Promise<Seen> => {
    const { msgid } = Object(raw) as { msgid?: unknown };
    const type = item?.kind ?? 'item';
    const userKey = `${openKfId}:${item?.externalUserId ?? ''}`;
    // As text: whatever stands in it, the database takes it.
    const body = JSON.stringify(raw);
    const messageId = typeof msgid === 'string' ? msgid : createHash('sha256').update(body).digest('hex');
    logger.error({ ...errorFields(error), openKfId, messageId }, 'item.given-up');
    await deadLetters.keep({
      service: 'ingest',
      reason: describeError(error),
      code: errorCode(error),
      attempts: 1,
      origin: { type, messageId, correlationId: messageId, userKey, exchange: null },
      body,
    });
    return ['given_up', type];
  };

  /** @returns the item if it concerns a user, else what it counts as */
  const classify = async (page: Page, raw: unknown): Promise<Entry | Seen> => {
    const { openKfId, notBefore } = page;
    try {
      const item = classifyItem(parseSyncItem(raw, { openKfId, nowS: Math.floor(now() / 1000) }), notBefore);
      if ('externalUserId' in item) return { item, raw };
      const { msgId: messageId, kind, type } = item;
      logger[kind === 'malformed' ? 'warn' : 'info']({ openKfId, messageId, kind, type }, 'item.recorded');
      return [kind, type];
    } catch (error) {
      return giveUp(page, raw, error);
    }
  };

  const publishOne = async (page: Page, { item, raw }: Entry): Promise<Seen> => {
    try {
      await publishItem(page.openKfId, item, page.receivedAt);
      if (item.kind === 'message') lag.observe(Math.max(0, now() / 1000 - item.sendTime));
      return [item.kind, item.type];
    } catch (error) {
      if (mayPass(error)) throw error;
      return giveUp(page, raw, error, item);
    }
  };

  /** One item after the other, each counted before it is looked at. */
  const publishSuspects = async (page: Page): Promise<Seen[]> => {
    const seen: Seen[] = [];
    for (const [index, raw] of page.items.entries()) {
      if (page.signal.aborted) break;
      const countId = String((Object(raw) as { msgid?: unknown }).msgid ?? `item ${index}`);
      const deaths = (await poisonCounts.raise('ingest', countId)) - 1;
      if (deaths >= MAX_DEATHS) {
        const error = new PermanentError('item-deadly', `the process died ${deaths} times over it`);
        seen.push(await giveUp(page, raw, error));
        continue;
      }
      try {
        const entry = await classify(page, raw);
        seen.push(Array.isArray(entry) ? entry : await publishOne(page, entry));
      } finally {
        await poisonCounts.clear('ingest', countId);
      }
    }
    return seen;
  };

  const publishSideBySide = async (page: Page): Promise<Seen[]> => {
    const seen: Seen[] = [];
    const users = new Map<string, Entry[]>();
    for (const raw of page.items) {
      const entry = await classify(page, raw);
      if (Array.isArray(entry)) {
        seen.push(entry);
        continue;
      }
      const entries = users.get(entry.item.externalUserId) ?? [];
      users.set(entry.item.externalUserId, entries);
      entries.push(entry);
    }
    let failure: { error: unknown } | undefined;
    const waiting = users.values();
    const work = async () => {
      for (const entries of waiting)
        for (const entry of entries) {
          // Nothing of a user is published behind something of theirs that wasn't.
          if (failure || page.signal.aborted) return;
          try {
            seen.push(await publishOne(page, entry));
          } catch (error) {
            failure ??= { error };
          }
        }
    };
    await Promise.all(Array.from({ length: Math.min(USERS_SIDE_BY_SIDE, users.size) }, work));
    if (failure) throw failure.error;
    return seen;
  };

  return async (page) => {
    const seen = await (page.isSuspect ? publishSuspects : publishSideBySide)(page);
    if (page.signal.aborted) throw new RetryableError('page-abandoned', 'stopped while publishing a page');

    for (const [kind, type] of seen) counted.inc({ kind, type: /^[a-z_ ]{1,40}$/.test(type) ? type : 'other' });
    return Object.fromEntries([...Map.groupBy(seen, ([kind]) => kind)].map(([kind, group]) => [kind, group.length]));
  };
}

/** Not the item's fault: a broker or database that is away, or a topology that isn't complete. */
function mayPass(error: unknown): boolean {
  return error instanceof RetryableError || errorCode(error) === 'publish-unroutable';
}
