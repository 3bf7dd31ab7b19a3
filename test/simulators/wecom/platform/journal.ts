// WeCom simulator: what it remembers of the calls made to it, for tests, figures and the chat page.

export type SentRecord = {
  seq: number;
  openKfId: string;
  externalUserId: string;
  msgid: string;
  msgtype: string;
  /** What the user sees, cut as the platform cuts it; of other types the message body as JSON. */
  content: string;
  /** What the caller sent. */
  original: string;
  originalBytes: number;
  truncated: boolean;
  /** Epoch ms of this machine when the request had arrived, and when it was accepted. */
  arrivedAt: number;
  acceptedAt: number;
  /** Sends left in the user's allowance after this one. */
  remaining: number;
  api: 'send_msg' | 'send_msg_on_event';
  /** Set when a msg_send_fail was raised for it. */
  failType?: number;
};

export type RefusedRecord = {
  seq: number;
  api: string;
  openKfId: string;
  externalUserId: string;
  msgid: string;
  content: string;
  errcode: number;
  errmsg: string;
  /** Epoch ms of this machine. */
  at: number;
  /** True when a fault on command refused it, not a rule of the platform. */
  byFault: boolean;
};

export type CallCounts = { total: number; byCode: Record<string, number>; inFlight: number; maxInFlight: number };

/** Two sends to one customer under way at once: the caller doesn't keep their order. */
export type SendOverlap = { openKfId: string; externalUserId: string; msgid: string; at: number };

/** A call that a fault on command met: what explains a delay or a repeat. */
export type FaultHit = { at: number; api: string; externalUserId: string | undefined; kinds: string[] };

export type JournalEvent = { seq: number; type: string; at: number } & Record<string, unknown>;
type Listener = (event: JournalEvent) => void;

const KEPT_EVENTS = 5000;
const KEPT_REFUSALS = 200_000;

export type Journal = {
  /** Numbers the records, sends and refusals together. */
  nextSeq(): number;
  lastEventSeq(): number;
  addSent(record: SentRecord): void;
  sent(filter: { user?: string | undefined; since?: number | undefined }): SentRecord[];
  sentByMsgid(openKfId: string, msgid: string): SentRecord | undefined;
  sentCount(): number;
  addRefused(record: RefusedRecord): void;
  refused(): RefusedRecord[];
  callBegun(api: string): CallCounts;
  callEnded(api: string, code: string): void;
  calls(): Record<string, CallCounts>;
  /** A send to this customer began; the returned function, called any number of times, ends it. */
  sendBegun(overlap: SendOverlap): () => void;
  sendOverlaps(): SendOverlap[];
  addFaultHit(hit: FaultHit): void;
  faultHits(): FaultHit[];
  /** Tells every listener; the last 5000 events are kept for those that connect again. */
  emit(type: string, at: number, fields: Record<string, unknown>): void;
  /** Kept events after `seq`; nothing when some are already gone or `seq` is of an earlier run. */
  eventsAfter(seq: number): JournalEvent[] | undefined;
  listen(listener: Listener): () => void;
  clear(): void;
};

export function createJournal(): Journal {
  let seq = 0;
  let eventSeq = 0;
  let sent: SentRecord[] = [];
  let refused: RefusedRecord[] = [];
  let events: JournalEvent[] = [];
  const sentByUser = new Map<string, SentRecord[]>();
  const sentById = new Map<string, SentRecord>();
  const counts = new Map<string, CallCounts>();
  const sending = new Map<string, number>();
  let overlaps: SendOverlap[] = [];
  let faultHits: FaultHit[] = [];
  const listeners = new Set<Listener>();
  const countsOf = (api: string): CallCounts => {
    let found = counts.get(api);
    if (found === undefined) {
      found = { total: 0, byCode: {}, inFlight: 0, maxInFlight: 0 };
      counts.set(api, found);
    }
    return found;
  };

  return {
    nextSeq: () => {
      seq += 1;
      return seq;
    },
    lastEventSeq: () => eventSeq,
    addSent(record) {
      sent.push(record);
      sentById.set(`${record.openKfId}:${record.msgid}`, record);
      const ofUser = sentByUser.get(record.externalUserId);
      if (ofUser === undefined) sentByUser.set(record.externalUserId, [record]);
      else ofUser.push(record);
    },
    sent({ user, since }) {
      const records = user === undefined ? sent : (sentByUser.get(user) ?? []);
      return since === undefined ? records : records.slice(firstAfter(records, since));
    },
    sentByMsgid: (openKfId, msgid) => sentById.get(`${openKfId}:${msgid}`),
    sentCount: () => sent.length,
    addRefused(record) {
      if (refused.length < KEPT_REFUSALS) refused.push(record);
    },
    refused: () => refused,
    callBegun(api) {
      const found = countsOf(api);
      found.total += 1;
      found.inFlight += 1;
      found.maxInFlight = Math.max(found.maxInFlight, found.inFlight);
      return found;
    },
    callEnded(api, code) {
      const found = countsOf(api);
      found.inFlight = Math.max(found.inFlight - 1, 0);
      found.byCode[code] = (found.byCode[code] ?? 0) + 1;
    },
    sendBegun(overlap) {
      const key = `${overlap.openKfId}:${overlap.externalUserId}`;
      const before = sending.get(key) ?? 0;
      if (before > 0 && overlaps.length < KEPT_EVENTS) overlaps.push(overlap);
      sending.set(key, before + 1);
      let hasEnded = false;
      return () => {
        if (hasEnded) return;
        hasEnded = true;
        const left = (sending.get(key) ?? 1) - 1;
        if (left > 0) sending.set(key, left);
        else sending.delete(key);
      };
    },
    sendOverlaps: () => overlaps,
    addFaultHit(hit) {
      if (faultHits.length < KEPT_REFUSALS) faultHits.push(hit);
    },
    faultHits: () => faultHits,
    calls: () => Object.fromEntries(counts),
    emit(type, at, fields) {
      eventSeq += 1;
      const event: JournalEvent = { ...fields, seq: eventSeq, type, at };
      events.push(event);
      if (events.length > 2 * KEPT_EVENTS) events = events.slice(-KEPT_EVENTS);
      for (const listener of listeners) listener(event);
    },
    eventsAfter(after) {
      const oldest = events[0]?.seq ?? eventSeq + 1;
      const isKnown = after + 1 >= oldest && after <= eventSeq;
      return !isKnown ? undefined : events.filter((event) => event.seq > after);
    },
    listen(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    clear() {
      sent = [];
      refused = [];
      events = [];
      overlaps = [];
      faultHits = [];
      sentByUser.clear();
      sentById.clear();
      for (const [api, found] of counts) {
        if (found.inFlight === 0) counts.delete(api);
        else counts.set(api, { total: 0, byCode: {}, inFlight: found.inFlight, maxInFlight: found.inFlight });
      }
    },
  };
}

/** Records are in order of acceptance, so a halving search finds where `since` (epoch ms, exclusive) begins. */
function firstAfter(records: SentRecord[], since: number): number {
  let low = 0;
  let high = records.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const record = records[middle];
    if (record !== undefined && record.acceptedAt <= since) low = middle + 1;
    else high = middle;
  }
  return low;
}
