// WeCom simulator: what send_msg and send_msg_on_event accept as a message, type by type.
import type { World } from './world.ts';

export type ShapedMessage = { msgtype: string; content: string; original: string };
export type ShapeResult = { ok: true; message: ShapedMessage } | { ok: false; errcode: number };

type Fields = Record<string, unknown>;

const TITLE_BYTES = 128;
const DESC_BYTES = 512;
const URL_BYTES = 2048;
const MENU_ENTRIES = 50;
const MENU_ENTRIES_ON_EVENT = 10;

export function shapeMessage(world: World, body: Fields, onEvent: boolean): ShapeResult {
  const { msgtype } = body;
  if (typeof msgtype !== 'string') return { ok: false, errcode: 40058 };
  if (onEvent && msgtype !== 'text' && msgtype !== 'msgmenu') return { ok: false, errcode: 40058 };
  const part = body[msgtype];
  if (!isFields(part)) return { ok: false, errcode: 40058 };
  if (msgtype === 'text') return shapeText(part, world.settings.textBytes);
  const errcode = checkOther(world, msgtype, part, onEvent ? MENU_ENTRIES_ON_EVENT : MENU_ENTRIES);
  if (errcode !== 0) return { ok: false, errcode };
  const content = JSON.stringify(part);
  return { ok: true, message: { msgtype, content, original: content } };
}

/** ≤ 32 bytes of letters, digits, `_` and `-`; the platform makes one itself when it is absent or empty. */
export function isMsgid(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-zA-Z_-]{0,32}$/.test(value);
}

/** The first `maxBytes` bytes of UTF-8, a character cut in two left out. */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = maxBytes;
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString('utf8', 0, end);
}

function shapeText(part: Fields, maxBytes: number): ShapeResult {
  const { content } = part;
  if (content === undefined || content === '') return { ok: false, errcode: 44004 };
  if (typeof content !== 'string') return { ok: false, errcode: 40058 };
  return { ok: true, message: { msgtype: 'text', content: cutText(content, maxBytes), original: content } };
}

function checkOther(world: World, msgtype: string, part: Fields, menuEntries: number): number {
  switch (msgtype) {
    case 'image':
    case 'voice':
    case 'video':
    case 'file':
      return hasMedia(world, part.media_id) ? 0 : 40007;
    case 'link':
      if (!hasText(part, 'title', TITLE_BYTES * 4) || !isShort(part, 'desc', DESC_BYTES * 4)) return 40058;
      if (!hasText(part, 'url', URL_BYTES) || !/^[a-z]+:\/\//i.test(String(part.url))) return 40058;
      return hasMedia(world, part.thumb_media_id) ? 0 : 40007;
    case 'miniprogram':
      if (!hasText(part, 'appid', 128) || !hasText(part, 'pagepath', URL_BYTES)) return 40058;
      return hasMedia(world, part.thumb_media_id) ? 0 : 40007;
    case 'msgmenu':
      return checkMenu(part, menuEntries);
    case 'location':
      return isWithin(part.latitude, 90) && isWithin(part.longitude, 180) ? 0 : 40058;
    case 'ca_link':
      return hasText(part, 'link_url', URL_BYTES) ? 0 : 40058;
    case 'business_card':
      return hasText(part, 'userid', 64) ? 0 : 40058;
    default:
      return 40058;
  }
}

function checkMenu(part: Fields, maxEntries: number): number {
  if (!isShort(part, 'head_content', 1024) || !isShort(part, 'tail_content', 1024)) return 40058;
  const list = part.list ?? [];
  if (!Array.isArray(list)) return 40058;
  const tappable = list.filter((entry) => isFields(entry) && entry.type !== 'text');
  if (list.length > maxEntries || tappable.length > 10) return 95008;
  for (const entry of list as unknown[]) {
    if (!isFields(entry) || typeof entry.type !== 'string') return 40058;
    const inner = entry[entry.type];
    if (!['click', 'view', 'miniprogram', 'text'].includes(entry.type)) return 95009;
    if (!isFields(inner)) return 40058;
    if (entry.type === 'click' && !(isShort(inner, 'id', 128) && hasText(inner, 'content', 128))) return 40058;
    if (entry.type === 'view' && !(hasText(inner, 'url', URL_BYTES) && hasText(inner, 'content', 1024))) return 40058;
    if (entry.type === 'text' && !hasText(inner, 'content', 256)) return 40058;
  }
  return 0;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function hasText(part: Fields, name: string, maxBytes: number): boolean {
  const value = part[name];
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= maxBytes;
}

function isShort(part: Fields, name: string, maxBytes: number): boolean {
  return part[name] === undefined || part[name] === '' || hasText(part, name, maxBytes);
}

function isWithin(value: unknown, bound: number): boolean {
  return typeof value === 'number' && Math.abs(value) <= bound;
}

function hasMedia(world: World, mediaId: unknown): boolean {
  return typeof mediaId === 'string' && world.media.has(mediaId);
}
