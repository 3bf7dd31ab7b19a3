// WeCom ─▶ ingest: the doorbell. Says that there is something to pull, never what; answered before anything is pulled.
import { errorCode, HttpError, type Logger, MAX_BODY_BYTES, type Metrics } from '@pipeline/runtime';
import type { CallbackCrypto } from '@pipeline/wecom';
import express, { type Request, type RequestHandler, type Router } from 'express';
import { XMLParser } from 'fast-xml-parser';

/**
 * How far a notification's time may be from ours. Not tight: WeCom doesn't say whether what it sends again carries the
 * first time. What is older is a replay, and its token for sync_msg has run out.
 */
const MAX_AGE_S = 600;
/** Of so many notifications the same one is recognised when it comes again. */
const REMEMBERED = 10_000;
/** Anything else that is refused was not made by WeCom, or with other keys. */
const STATUS: Record<string, number> = { malformed: 400, 'callback-unreadable': 400, 'callback-wrong-receiver': 403 };

/** Nothing may be looked up, nested or made a number of; what isn't text in the expected place is refused below. */
const xml = new XMLParser({ processEntities: false, parseTagValue: false, ignoreAttributes: true });

/**
 * `GET` (the URL check: answered with what `echostr` holds) and `POST /wecom/callback` (a notification: 200, empty).
 * Answers 400 (malformed), 401 (not signed with our token, or older than 10 minutes), 403 (for another corp), 413.
 */
export function createWecomCallback(deps: {
  crypto: Pick<CallbackCrypto, 'open'>;
  /** The KF accounts that we pull. */
  accounts: readonly string[];
  /** Must not throw, nor take long. @param token for sync_msg */
  ring(openKfId: string, token: string | null): void;
  /** Epoch ms. */
  now: () => number;
  logger: Logger;
  metrics: Metrics;
}): Router {
  const { crypto, accounts, ring, now, logger, metrics } = deps;
  const callbacks = metrics.counter('ingest_callbacks_total', "Calls of WeCom's callback", ['outcome']);
  const seen = new Set<string>();

  /** @throws HttpError */
  const open = (request: Request, encrypted: string): { message: string; signature: string } => {
    const signature = textOf(request.query, 'msg_signature');
    const timestamp = textOf(request.query, 'timestamp');
    try {
      const message = crypto.open({ signature, timestamp, nonce: textOf(request.query, 'nonce'), encrypted });
      // After the signature: to others the clock is none of their business.
      if (!(Math.abs(now() / 1000 - Number(timestamp)) <= MAX_AGE_S))
        throw new HttpError(401, 'callback-expired', 'more than 10 minutes old, or of a clock that is off');
      return { message, signature };
    } catch (error) {
      if (error instanceof HttpError) throw error;
      const code = errorCode(error);
      throw new HttpError(STATUS[code] ?? 401, code, 'not a callback for this receiver');
    }
  };

  const isRepeated = (signature: string): boolean => {
    if (seen.has(signature)) return true;
    seen.add(signature);
    const [oldest] = seen;
    if (seen.size > REMEMBERED && oldest !== undefined) seen.delete(oldest);
    return false;
  };

  const takeNotification = (request: Request): string => {
    const { message, signature } = open(request, textOf(parseXml(request.body), 'Encrypt'));
    if (isRepeated(signature)) return 'repeated';
    const { Event, OpenKfId, Token } = parseXml(message);
    if (Event !== 'kf_msg_or_event') return 'other_event';
    // Older platforms name no account: then it may be any.
    const rung = OpenKfId === undefined ? accounts : accounts.filter((account) => account === OpenKfId);
    for (const account of rung) ring(account, typeof Token === 'string' && Token !== '' ? Token : null);
    return rung.length > 0 ? 'rung' : 'other_account';
  };

  /** Counts what became of a call; refusals are told without anything of the request. */
  const counted =
    (handle: (request: Request) => { outcome: string; answer: string }): RequestHandler =>
    (request, response) => {
      try {
        const { outcome, answer } = handle(request);
        callbacks.inc({ outcome });
        response.type('text/plain').send(answer);
      } catch (error) {
        const code = error instanceof HttpError ? error.code : errorCode(error);
        callbacks.inc({ outcome: code });
        logger.warn({ errorCode: code }, 'callback.refused');
        throw error;
      }
    };

  const body = express.text({ limit: MAX_BODY_BYTES, type: () => true, inflate: false });
  const router = express.Router();
  router.get(
    '/wecom/callback',
    counted((request) => {
      // A plus sign that somebody on the way has decoded to a blank.
      const encrypted = textOf(request.query, 'echostr').replaceAll(' ', '+');
      return { outcome: 'url_checked', answer: open(request, encrypted).message };
    }),
  );
  router.post(
    '/wecom/callback',
    body,
    counted((request) => ({ outcome: takeNotification(request), answer: '' })),
  );
  return router;
}

/** @throws HttpError 400 unless the field is there, once */
function textOf(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value === 'string') return value;
  throw new HttpError(400, 'malformed', `${name}: must be given once`);
}

/** The elements below `<xml>`. @throws HttpError 400 */
function parseXml(text: unknown): Record<string, unknown> {
  try {
    const { xml: root } = xml.parse(String(text), true) as { xml?: unknown };
    if (typeof root === 'object' && root !== null) return root as Record<string, unknown>;
  } catch {
    // The parser's message quotes the text, which may hold a token.
  }
  throw new HttpError(400, 'malformed', 'body: must be the XML of a WeCom callback');
}
