export type ChatIds = { openKfId: string; externalUserId: string };
export type ChatEntry = {
  key: string;
  from: 'user' | 'kf' | 'refused';
  at: number;
  kind: 'text' | 'image' | 'other';
  text: string;
  /** Of the user's: epoch ms of the first sync_msg that carried it. */
  pulledAt?: number | null;
  /** Of the KF's. */
  waitedMs?: number | null;
  truncated?: boolean;
  originalBytes?: number;
  remaining?: number;
  failType?: number | null;
  /** Of refusals. */
  errcode?: number;
  count?: number;
};
export type Chat = ChatIds & {
  key: string;
  nickname: string;
  allowance: number;
  remaining: number;
  windowEndsAt: number | null;
  session: number;
  lastWrittenAt: number | null;
  entries: ChatEntry[];
};
export type ChatModel = {
  chats: Map<string, Chat>;
  others: Map<string, ChatIds & { nickname: string }>;
  byMsgid: Map<string, { chat: Chat; entry: ChatEntry }>;
  totals: { messages: number; pulled: number; sent: number; refused: number };
};
export function chatKey(ids: ChatIds): string;
export function createModel(): ChatModel;
export function openChat(model: ChatModel, chat: ChatIds & { nickname: string; allowance?: number }): Chat;
export function closeChat(model: ChatModel, key: string): void;
export function loadSnapshot(model: ChatModel, snapshot: unknown): void;
export function applyEvent(model: ChatModel, event: unknown): string[];
