// WeCom simulator: one KF account's message log, what sync_msg pages through.
import { createHash } from 'node:crypto';

export type LogItem = Record<string, unknown>;

export type LogEntry = {
  index: number;
  item: LogItem;
  /** Unix seconds on the platform's clock; decides the retention. */
  sendTime: number;
  /** Epoch ms of this machine. */
  injectedAt: number;
  /** Epoch ms when an intact sync_msg answer first carried it. */
  firstReturnedAt: number | undefined;
  returnedTimes: number;
};

export type LogPage = { entries: LogEntry[]; nextIndex: number; hasMore: boolean };

/** Items in arrival order behind an ever-growing index; a cleared log goes on counting, so old cursors stay good. */
export type AccountLog = {
  append(item: LogItem, sendTime: number, injectedAt: number): LogEntry;
  /** At most `limit` items from `index` on, those sent before `oldest` (unix seconds) left out. */
  page(index: number, limit: number, oldest: number): LogPage;
  /** The up to `count` items right before `index`. */
  before(index: number, count: number, oldest: number): LogEntry[];
  entry(index: number): LogEntry | undefined;
  firstIndex(): number;
  endIndex(): number;
  clear(): void;
};

export function createAccountLog(): AccountLog {
  let entries: LogEntry[] = [];
  // A platform never goes back: a cursor from before a restart of the simulator lies before everything in this log.
  let base = Date.now();
  const end = () => base + entries.length;
  return {
    append(item, sendTime, injectedAt) {
      const entry: LogEntry = {
        index: end(),
        item,
        sendTime,
        injectedAt,
        firstReturnedAt: undefined,
        returnedTimes: 0,
      };
      entries.push(entry);
      return entry;
    },
    page(index, limit, oldest) {
      const found: LogEntry[] = [];
      let next = Math.max(index, base);
      for (; next < end() && found.length < limit; next += 1) {
        const entry = entries[next - base];
        if (entry !== undefined && entry.sendTime >= oldest) found.push(entry);
      }
      return { entries: found, nextIndex: next, hasMore: next < end() };
    },
    before(index, count, oldest) {
      const from = Math.max(index - count - base, 0);
      return entries.slice(from, Math.max(index - base, 0)).filter((entry) => entry.sendTime >= oldest);
    },
    entry: (index) => entries[index - base],
    firstIndex: () => base,
    endIndex: end,
    clear() {
      base = end();
      entries = [];
    },
  };
}

/** Opaque to clients: 15 digits of index, 8 hex digits that tie it to the account, 8 that reveal tampering. */
export function encodeCursor(openKfId: string, index: number): string {
  const payload = `${digest(openKfId)}${index.toString().padStart(15, '0')}`;
  return Buffer.from(`${payload}${digest(`cursor:${payload}`)}`).toString('base64url');
}

/** The index behind a cursor of this account, or nothing when it is forged or another account's. */
export function decodeCursor(openKfId: string, cursor: string): number | undefined {
  const text = Buffer.from(cursor, 'base64url').toString('latin1');
  const match = /^([0-9a-f]{8})(\d{15})([0-9a-f]{8})$/.exec(text);
  if (match === null) return undefined;
  const [, account = '', index = '', check = ''] = match;
  const isGenuine = account === digest(openKfId) && check === digest(`cursor:${account}${index}`);
  return isGenuine ? Number(index) : undefined;
}

function digest(text: string): string {
  return createHash('sha1').update(text).digest('hex').slice(0, 8);
}
