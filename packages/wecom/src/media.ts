// Files on their way to or from WeCom: media_ids live for 3 days and are shared by the apps of a corp.
import { FormData } from 'undici';
import { type Caller, type HttpAnswer, readJsonAnswer } from './call.ts';
import { noAnswer } from './wecom-error.ts';

export interface Media {
  bytes: Buffer;
  contentType: string;
  /** As WeCom names it; null if it doesn't. */
  filename: string | null;
}

export interface MediaApi {
  /** WeCom's limits: image 10 MB, voice 2 MB of AMR, video 10 MB, file 20 MB, none under 6 bytes (path/90253). */
  uploadMedia(media: {
    type: 'image' | 'voice' | 'video' | 'file';
    filename: string;
    bytes: Uint8Array<ArrayBuffer>;
  }): Promise<{ mediaId: string }>;
  /** Customers' files have at most 20 MB (path/94670); larger ones than `maxBytes` (32 MiB) are refused. */
  getMedia(request: { mediaId: string; maxBytes?: number }): Promise<Media>;
}

const MAX_MEDIA_BYTES = 32 * 1024 * 1024;

/** A file, or an error as JSON: they differ in their headers only (path/90254). */
function readMedia(api: string, answer: HttpAnswer): Media {
  const { status, headers, body } = answer;
  const contentType = String(headers['content-type'] ?? '');
  const disposition = String(headers['content-disposition'] ?? '');
  if (disposition === '' && (status >= 300 || /json|text\/plain/i.test(contentType))) {
    readJsonAnswer(api, answer);
    throw noAnswer(api, 'wecom-invalid-answer', 'the answer is no file', true);
  }
  if (status >= 300) throw noAnswer(api, 'wecom-http-status', `HTTP ${status}`, true);
  return { bytes: body, contentType, filename: /filename="?([^";]+)"?/i.exec(disposition)?.[1] ?? null };
}

export function createMediaApi({ call, callRaw }: Caller): MediaApi {
  return {
    async uploadMedia({ type, filename, bytes }) {
      const form = new FormData();
      form.set('media', new Blob([bytes]), filename.toWellFormed());
      const answer = await call({ api: 'media/upload', query: { type }, body: form });
      if (typeof answer.media_id !== 'string')
        throw noAnswer('media/upload', 'wecom-invalid-answer', 'the answer has no media_id', true);
      return { mediaId: answer.media_id };
    },
    getMedia: ({ mediaId, maxBytes = MAX_MEDIA_BYTES }) =>
      callRaw({ api: 'media/get', query: { media_id: mediaId }, maxAnswerBytes: maxBytes }, readMedia),
  };
}
