// The exact bytes of every part of every text that the sender took on, before the first attempt to send it.
import { type Connection, Schema } from 'mongoose';
import { expiresInDays, type SideWrite } from '../side-writes.ts';
import { storing } from '../store-errors.ts';

const RETENTION_DAYS = 7;

/** One message as WeCom gets it, and where in the source it begins: what was never attempted may be split anew. */
export interface StoredPart {
  content: string;
  /** UTF-16 offset in `source`. */
  at: number;
  /** The fence line that reopens a code block here. */
  fence: string | null;
}

export interface StoredText {
  /** `userKey:textId` */
  _id: string;
  userKey: string;
  textId: string;
  msgId: string;
  kind: string;
  /** The whole text, cleaned. */
  source: string;
  parts: StoredPart[];
  /** The msgids under which parts were or will be offered to WeCom, for finding a part by `fail_msgid`. */
  msgids: string[];
  expiresAt: Date;
}

const schema = new Schema(
  {
    _id: String,
    userKey: String,
    textId: String,
    msgId: String,
    kind: String,
    source: String,
    parts: [Schema.Types.Mixed],
    msgids: [String],
    expiresAt: Date,
  },
  { versionKey: false },
);
schema.index({ msgids: 1 });
schema.index({ expiresAt: 1 }, { expireAfterSeconds: 0 });

export const storedTextId = (userKey: string, textId: string) => `${userKey}:${textId}`;

export type NewStoredText = Omit<StoredText, '_id' | 'expiresAt'>;

export const storedTextWrite = (delivery: NewStoredText): SideWrite => ({
  collection: 'deliveries',
  isNew: true,
  filter: { _id: storedTextId(delivery.userKey, delivery.textId) },
  update: { $set: { ...delivery, expiresAt: expiresInDays(RETENTION_DAYS) } },
  upsert: true,
});

/** A part is offered under a new msgid (a new generation). */
export const storedMsgidWrite = (userKey: string, textId: string, msgid: string): SideWrite => ({
  collection: 'deliveries',
  filter: { _id: storedTextId(userKey, textId) },
  update: { $addToSet: { msgids: msgid } },
  upsert: false,
});

export function deliveries(connection: Connection) {
  const model = connection.model<StoredText>('deliveries', schema as never, 'deliveries');
  return {
    find: (userKey: string, textId: string): Promise<StoredText | null> =>
      storing(() => model.findById(storedTextId(userKey, textId)).lean<StoredText>().exec()),
    /** The delivery one of whose parts was sent under this msgid. */
    findByMsgid: (userKey: string, msgid: string): Promise<StoredText | null> =>
      storing(() => model.findOne({ msgids: msgid, userKey }).lean<StoredText>().exec()),
    ensureIndexes: () => model.createIndexes(),
  };
}
