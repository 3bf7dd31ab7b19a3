// ingest: one page of sync_msg ─▶ the mailboxes. Each user's items in order, one at a time; users side by side.
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

  const keepDeadLetter = async ({ openKfId }: Page, { item, raw }: Entry, error: unknown) => {
    logger.error({ ...errorFields(error), openKfId, messageId: item.msgId }, 'item.given-up');
    await deadLetters.keep({
      service: 'ingest',
      reason: describeError(error),
      code: errorCode(error),
      attempts: 1,
      origin: {
        type: item.kind,
        messageId: item.msgId,
        correlationId: item.msgId,
        userKey: `${openKfId}:${item.externalUserId}`,
        exchange: null,
      },
      // As text: whatever stands in it, the database takes it.
      body: JSON.stringify(raw),
    });
  };

  /** @returns the kind that the item counts as */
  const publishOne = async (page: Page, entry: Entry): Promise<string> => {
    const { item } = entry;
    try {
      await publishItem(page.openKfId, item, page.receivedAt);
      if (item.kind === 'message') lag.observe(Math.max(0, now() / 1000 - item.sendTime));
      return item.kind;
    } catch (error) {
      if (mayPass(error)) throw error;
      await keepDeadLetter(page, entry, error);
      return 'given_up';
    }
  };

  const publishSuspect = async (page: Page, entry: Entry): Promise<string> => {
    const { msgId } = entry.item;
    const deaths = (await poisonCounts.raise('ingest', msgId)) - 1;
    if (deaths >= MAX_DEATHS) {
      await keepDeadLetter(page, entry, new PermanentError('item-deadly', `the process died ${deaths} times over it`));
      return 'given_up';
    }
    try {
      return await publishOne(page, entry);
    } finally {
      await poisonCounts.clear('ingest', msgId);
    }
  };

  return async (page) => {
    const seen: [kind: string, type: string][] = [];
    const users = new Map<string, Entry[]>();
    const polled = { openKfId: page.openKfId, nowS: Math.floor(now() / 1000) };
    for (const raw of page.items) {
      const item = classifyItem(parseSyncItem(raw, polled), page.notBefore);
      if ('externalUserId' in item) {
        const entries = users.get(item.externalUserId) ?? [];
        users.set(item.externalUserId, entries);
        entries.push({ item, raw });
        continue;
      }
      seen.push([item.kind, item.type]);
      const { openKfId } = page;
      const level = item.kind === 'malformed' ? 'warn' : 'info';
      logger[level]({ openKfId, messageId: item.msgId, kind: item.kind, type: item.type }, 'item.recorded');
    }

    let failure: { error: unknown } | undefined;
    const publish = page.isSuspect ? publishSuspect : publishOne;
    const waiting = users.values();
    const work = async () => {
      for (const entries of waiting)
        for (const entry of entries) {
          // Nothing of a user is published behind something of theirs that wasn't.
          if (failure || page.signal.aborted) return;
          try {
            const kind = await publish(page, entry);
            seen.push([kind, entry.item.type]);
          } catch (error) {
            failure ??= { error };
          }
        }
    };
    const workers = Math.min(page.isSuspect ? 1 : USERS_SIDE_BY_SIDE, users.size);
    await Promise.all(Array.from({ length: workers }, work));
    if (failure) throw failure.error;
    if (page.signal.aborted) throw new RetryableError('page-abandoned', 'stopped while publishing a page');

    for (const [kind, type] of seen) counted.inc({ kind, type: /^[a-z_ ]{1,40}$/.test(type) ? type : 'other' });
    return Object.fromEntries([...Map.groupBy(seen, ([kind]) => kind)].map(([kind, group]) => [kind, group.length]));
  };
}

/** Not the item's fault: a broker or database that is away, or a topology that isn't complete. */
function mayPass(error: unknown): boolean {
  return error instanceof RetryableError || errorCode(error) === 'publish-unroutable';
}
