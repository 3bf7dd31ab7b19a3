// One call of WeCom's API from request to answer: token, short retries, and what counts as an answer.
import { setTimeout as delay } from 'node:timers/promises';
import type { FormData } from 'undici';
import { type AccessToken, createAccessToken, type TokenStore } from './access-token.ts';
import type { CallQuota } from './call-quota.ts';
import { type ConfigurationProblem, createConfigurationProblems, GETTOKEN } from './configuration-problem.ts';
import type { Exchange, HttpOutcome } from './exchange.ts';
import { isWecomError, noAnswer, refusal, unreadRequest, type WecomError } from './wecom-error.ts';

export type Answer = Record<string, unknown>;
export type HttpAnswer = Extract<HttpOutcome, { kind: 'answer' }>;

export interface CallRequest {
  /** Below /cgi-bin/, such as `kf/send_msg`. */
  api: string;
  /** Sent as JSON with POST, a form as multipart; without one the request is a GET. */
  body?: Record<string, unknown> | FormData;
  /** Beyond the access token. */
  query?: Record<string, string>;
  /** The KF account the call is for: settings can be wrong for one account only. */
  openKfId?: string;
  maxAnswerBytes?: number;
}

export interface Caller {
  /** The answer with errcode 0, as JSON. */
  call(request: CallRequest): Promise<Answer>;
  /** The same for an answer that may be anything; `read` judges it. */
  callRaw<T>(request: CallRequest, read: (api: string, answer: HttpAnswer) => T): Promise<T>;
  configurationProblem(): ConfigurationProblem | null;
}

interface Dependencies {
  exchange: Exchange;
  corpId: string;
  secret: string;
  tokenStore: TokenStore;
  clock: () => number;
  quota?: CallQuota | undefined;
}

const MAX_JSON_ANSWER_BYTES = 1024 * 1024;
/** -1 asks for up to three more tries (path/90313). */
const BUSY_DELAYS_MS = [100, 200, 400];
const USUAL_TOKEN_LIFE_S = 7200;
const QUOTA_EXCEEDED = 45009;

function parseObject(body: Buffer): Answer | null {
  try {
    const parsed: unknown = JSON.parse(body.toString());
    return typeof parsed === 'object' && parsed !== null ? (parsed as Answer) : null;
  } catch {
    return null; // The caller turns "no answer" into an error that names the API.
  }
}

/** The answer as JSON with errcode 0. @throws WecomError for everything else; errcode decides, whatever the HTTP status below 500. */
export function readJsonAnswer(api: string, { status, body }: HttpAnswer): Answer {
  if (status >= 500) throw noAnswer(api, 'wecom-http-status', `HTTP ${status}`, true);
  const answer = parseObject(body);
  const errcode = answer?.errcode;
  if (answer === null || typeof errcode !== 'number' || !Number.isInteger(errcode)) {
    if (status >= 300) throw noAnswer(api, 'wecom-http-status', `HTTP ${status}`, true);
    throw noAnswer(api, 'wecom-invalid-answer', 'the answer is not what WeCom answers', true);
  }
  const errmsg = typeof answer.errmsg === 'string' ? answer.errmsg : '';
  if (errcode !== 0) throw refusal(api, errcode, errmsg);
  if (/wrong json format/i.test(errmsg)) throw unreadRequest(api);
  if (status >= 300) throw noAnswer(api, 'wecom-http-status', `HTTP ${status}`, true);
  return answer;
}

/** Lone surrogates would be escapes that WeCom can't read. */
const encodeJson = (body: Record<string, unknown>): string =>
  JSON.stringify(body, (_key, value: unknown) => (typeof value === 'string' ? value.toWellFormed() : value));

const encodeQuery = (query: Record<string, string>): string =>
  Object.entries(query)
    .map(([name, value]) => `${name}=${encodeURIComponent(value.toWellFormed())}`)
    .join('&');

const isForm = (body: Record<string, unknown> | FormData): body is FormData => typeof body.getAll === 'function';

export function createCaller({ exchange, corpId, secret, tokenStore, clock, quota }: Dependencies): Caller {
  const problems = createConfigurationProblems();

  async function once<T>(request: CallRequest, query: Record<string, string>, read: Reader<T>): Promise<T> {
    const { api, body, maxAnswerBytes = MAX_JSON_ANSWER_BYTES } = request;
    const outcome = await exchange({
      method: body === undefined ? 'GET' : 'POST',
      path: `/cgi-bin/${api}?${encodeQuery({ ...query, ...request.query })}`,
      ...(body === undefined ? {} : { body: isForm(body) ? body : encodeJson(body) }),
      maxAnswerBytes,
    });
    if (outcome.kind === 'answer') return read(api, outcome);
    const { cause, isSent, reason } = outcome;
    if (cause === 'timeout') throw noAnswer(api, 'wecom-timeout', reason, isSent);
    if (cause === 'oversized') throw noAnswer(api, 'wecom-oversized-answer', reason, true);
    throw isSent
      ? noAnswer(api, 'wecom-connection-lost', `connection lost (${reason})`, true)
      : noAnswer(api, 'wecom-unreachable', `not reachable (${reason})`, false);
  }

  async function whileBusy<T>(attempt: () => Promise<T>): Promise<T> {
    for (const delayMs of BUSY_DELAYS_MS) {
      try {
        return await attempt();
      } catch (error) {
        if (!isWecomError(error) || error.errcode !== -1) throw error;
        await delay(delayMs);
      }
    }
    return attempt();
  }

  async function fetchToken(): Promise<{ token: string; expiresInS: number }> {
    const final = problems.finalRefusal();
    if (final !== null) throw final;
    const query = { corpid: corpId, corpsecret: secret };
    const answer = await whileBusy(() => once({ api: GETTOKEN }, query, readJsonAnswer));
    const { access_token: token, expires_in: life } = answer;
    if (typeof token !== 'string' || token === '')
      throw noAnswer(GETTOKEN, 'wecom-invalid-answer', 'the answer has no access token', false);
    problems.note(GETTOKEN, null);
    return { token, expiresInS: typeof life === 'number' && life > 0 ? life : USUAL_TOKEN_LIFE_S };
  }

  const accessToken: AccessToken = createAccessToken({
    store: tokenStore,
    clock,
    // Nothing of the call that wants the token has been sent yet, so it isn't left unanswered.
    fetchToken: () => fetchToken().catch((error: unknown) => Promise.reject(asNotSent(error))),
  });

  async function withToken<T>(request: CallRequest, read: Reader<T>): Promise<T> {
    const attempt = (token: string): Promise<T> =>
      whileBusy(async () => {
        await quota?.admit(request.api);
        return once(request, { access_token: token }, read);
      });
    const token = await accessToken.get();
    try {
      return await attempt(token);
    } catch (error) {
      if (!isWecomError(error) || error.class !== 'token') throw error;
      return attempt(await accessToken.renew(token));
    }
  }

  async function noteRefusal(about: string, api: string, error: WecomError): Promise<void> {
    problems.note(about, error);
    const { errcode, retryAfterMs } = error;
    // Not told, the others learn it from WeCom.
    if (errcode === QUOTA_EXCEEDED && error.api === api) await quota?.close(api, retryAfterMs ?? 0).catch(() => {});
  }

  async function callRaw<T>(request: CallRequest, read: Reader<T>): Promise<T> {
    const about = `${request.api} ${request.openKfId ?? ''}`;
    try {
      const result = await withToken(request, read);
      problems.note(about, null);
      return result;
    } catch (error) {
      if (isWecomError(error)) await noteRefusal(about, request.api, error);
      throw error;
    }
  }

  return {
    callRaw,
    call: (request) => callRaw(request, readJsonAnswer),
    configurationProblem: problems.current,
  };
}

type Reader<T> = (api: string, answer: HttpAnswer) => T;

function asNotSent(error: unknown): unknown {
  if (!isWecomError(error) || !error.isUnanswered) return error;
  return noAnswer(error.api, error.code, error.message.slice(error.api.length + 2), false);
}
