// WeCom simulator: temporary files, kept for three days.
import { type ApiAnswer, accepted, refusal } from './errcodes.ts';
import { opaqueId } from './random.ts';
import type { MediaFile, World } from './world.ts';

const LIFE_S = 3 * 24 * 3600;
const MIN_BYTES = 6;
const MEGABYTE = 1024 * 1024;
const MAX_BYTES: Record<string, number> = {
  image: 10 * MEGABYTE,
  voice: 2 * MEGABYTE,
  video: 10 * MEGABYTE,
  file: 20 * MEGABYTE,
};

/** A one-pixel PNG: what the chat page's image messages carry. */
const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
);

/** `form` is the decoded multipart body; its field `media` holds the file. */
export async function uploadMedia(world: World, type: string, form: FormData | undefined): Promise<ApiAnswer> {
  const limit = MAX_BYTES[type];
  const file = form?.get('media');
  if (limit === undefined || file === null || file === undefined || typeof file === 'string') return refusal(40058);
  if (file.size < MIN_BYTES) return refusal(40058);
  if (file.size > limit) return refusal(45002);
  const bytes = Buffer.from(await file.arrayBuffer());
  const media = addMedia(world, { type, name: file.name, contentType: file.type, bytes });
  return accepted({ type, media_id: media.mediaId, created_at: String(media.createdAtS) });
}

export function getMedia(world: World, mediaId: string): MediaFile | undefined {
  const media = world.media.get(mediaId);
  return media !== undefined && world.clock.nowS() - media.createdAtS < LIFE_S ? media : undefined;
}

/** What a customer's image message points at. */
export function addPixel(world: World): MediaFile {
  return addMedia(world, { type: 'image', name: 'image.png', contentType: 'image/png', bytes: PIXEL });
}

function addMedia(world: World, file: Pick<MediaFile, 'type' | 'name' | 'contentType' | 'bytes'>): MediaFile {
  const media: MediaFile = { ...file, mediaId: opaqueId(43), createdAtS: world.clock.nowS() };
  world.media.set(media.mediaId, media);
  return media;
}
