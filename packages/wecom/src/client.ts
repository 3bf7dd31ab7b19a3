// WeCom's customer-service API, one function per call. The only way from here to the platform.
import { ConfigError } from '@pipeline/runtime';
import { createMemoryTokenStore, type TokenStore } from './access-token.ts';
import { type Caller, createCaller } from './call.ts';
import type { CallQuota } from './call-quota.ts';
import type { ConfigurationProblem } from './configuration-problem.ts';
import { createExchange } from './exchange.ts';
import { createMediaApi, type MediaApi } from './media.ts';
import { isWecomError, noAnswer } from './wecom-error.ts';

export interface WecomClientOptions {
  /** Usually https://qyapi.weixin.qq.com; may carry a path in front of /cgi-bin. */
  apiUrl: string;
  corpId: string;
  secret: string;
  /** For one exchange, from waiting for a connection to the last byte of the answer. */
  timeoutMs: number;
  tokenStore?: TokenStore;
  /** Left out: nothing is counted, only WeCom's refusals tell. Counts every call but gettoken. */
  quota?: CallQuota;
  /** ms since 1970. */
  clock?: () => number;
  maxConnections?: number;
}

export interface SyncPage {
  /** As WeCom sent them: see `parseSyncItem`. */
  items: unknown[];
  /** Where the next page begins; the given cursor if WeCom named none. */
  nextCursor: string;
  /** Only this says whether there is more: an empty page may be followed by others (path/94670). */
  hasMore: boolean;
  /** WeCom takes the given token no more; the page came without it. */
  isTokenRefused: boolean;
}

export type EventReply = { msgtype: 'text'; content: string } | { msgtype: 'msgmenu'; menu: Record<string, unknown> };

/** All calls reject with a WecomError, or with what the quota's store throws. */
export interface WecomClient extends MediaApi {
  /**
   * One page of what happened on a KF account (path/94670). Without a cursor it begins with the oldest item of the
   * last 3 days. `token` is the one of a callback; a stale one (95007) is left out and the call made again.
   */
  syncMsg(request: { openKfId: string; cursor?: string; token?: string; limit?: number }): Promise<SyncPage>;
  /** Sends a text of at most 2048 bytes of UTF-8 (path/94677). `msgid`: at most 32 of [0-9a-zA-Z_-], never used before. */
  sendText(message: {
    openKfId: string;
    externalUserId: string;
    msgid: string;
    content: string;
  }): Promise<{ msgid: string }>;
  /** Answers an event with the single-use code it came with (path/95122). */
  sendMsgOnEvent(reply: { code: string; msgid?: string; message: EventReply }): Promise<{ msgid: string }>;
  /** The session of a customer: 0 new, 1 assistant, 2 queued, 3 human servicer, 4 ended (path/94669). */
  serviceState: {
    get(session: Session): Promise<{ state: number; servicerUserId: string | null }>;
    trans(change: Session & { state: number; servicerUserId?: string }): Promise<{ msgCode: string | null }>;
  };
  /** What an operator has to fix, while something is wrong; rejected credentials stay until the process restarts. */
  configurationProblem(): ConfigurationProblem | null;
  /** Waits for the calls under way. */
  close(): Promise<void>;
}

interface Session {
  openKfId: string;
  externalUserId: string;
}

/** WeCom allows this many items a page (path/94670). */
const MAX_PAGE_LIMIT = 1000;
const MAX_PAGE_BYTES = 16 * 1024 * 1024;
const STALE_SYNC_TOKEN = 95007;

const textOr = <T>(value: unknown, otherwise: T): string | T =>
  typeof value === 'string' && value !== '' ? value : otherwise;

function createSyncMsg(call: Caller['call']): WecomClient['syncMsg'] {
  const syncMsg: WecomClient['syncMsg'] = async ({ openKfId, cursor, token, limit = MAX_PAGE_LIMIT }) => {
    const body = {
      open_kfid: openKfId,
      limit: Math.min(limit, MAX_PAGE_LIMIT),
      ...(cursor ? { cursor } : {}),
      ...(token ? { token } : {}),
    };
    try {
      const answer = await call({ api: 'kf/sync_msg', body, openKfId, maxAnswerBytes: MAX_PAGE_BYTES });
      return {
        items: Array.isArray(answer.msg_list) ? answer.msg_list : [],
        nextCursor: textOr(answer.next_cursor, cursor ?? ''),
        hasMore: Number(answer.has_more) === 1,
        isTokenRefused: false,
      };
    } catch (error) {
      if (!token || !isWecomError(error) || error.errcode !== STALE_SYNC_TOKEN) throw error;
      return { ...(await syncMsg({ openKfId, limit, ...(cursor ? { cursor } : {}) })), isTokenRefused: true };
    }
  };
  return syncMsg;
}

function createServiceState(call: Caller['call']): WecomClient['serviceState'] {
  return {
    async get({ openKfId, externalUserId }) {
      const body = { open_kfid: openKfId, external_userid: externalUserId };
      const answer = await call({ api: 'kf/service_state/get', body, openKfId });
      const { service_state: state } = answer;
      if (typeof state !== 'number')
        throw noAnswer('kf/service_state/get', 'wecom-invalid-answer', 'the answer has no service_state', true);
      return { state, servicerUserId: textOr(answer.servicer_userid, null) };
    },
    async trans({ openKfId, externalUserId, state, servicerUserId }) {
      const body = {
        open_kfid: openKfId,
        external_userid: externalUserId,
        service_state: state,
        ...(servicerUserId === undefined ? {} : { servicer_userid: servicerUserId }),
      };
      const answer = await call({ api: 'kf/service_state/trans', body, openKfId });
      return { msgCode: textOr(answer.msg_code, null) };
    },
  };
}

function parseApiUrl(apiUrl: string): URL {
  const url = URL.canParse(apiUrl) ? new URL(apiUrl) : null;
  if (url?.protocol === 'https:' || url?.protocol === 'http:') return url;
  throw new ConfigError("the address of WeCom's API must be a URL starting with https:// or http://");
}

/** @throws ConfigError if `apiUrl` is no HTTP address. Nothing is sent before the first call. */
export function createWecomClient(options: WecomClientOptions): WecomClient {
  const { corpId, secret, timeoutMs, maxConnections = 64 } = options;
  const exchange = createExchange(parseApiUrl(options.apiUrl), timeoutMs, maxConnections);
  const caller = createCaller({
    exchange,
    corpId,
    secret,
    tokenStore: options.tokenStore ?? createMemoryTokenStore(),
    clock: options.clock ?? Date.now,
    quota: options.quota,
  });
  return {
    syncMsg: createSyncMsg(caller.call),
    async sendText({ openKfId, externalUserId, msgid, content }) {
      const body = { touser: externalUserId, open_kfid: openKfId, msgid, msgtype: 'text', text: { content } };
      const answer = await caller.call({ api: 'kf/send_msg', body, openKfId });
      return { msgid: textOr(answer.msgid, msgid) };
    },
    async sendMsgOnEvent({ code, msgid, message }) {
      const content = message.msgtype === 'text' ? { text: { content: message.content } } : { msgmenu: message.menu };
      const body = { code, ...(msgid === undefined ? {} : { msgid }), msgtype: message.msgtype, ...content };
      const answer = await caller.call({ api: 'kf/send_msg_on_event', body });
      return { msgid: textOr(answer.msgid, msgid ?? '') };
    },
    serviceState: createServiceState(caller.call),
    ...createMediaApi(caller),
    configurationProblem: caller.configurationProblem,
    close: exchange.close,
  };
}
