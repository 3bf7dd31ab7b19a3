// WeCom simulator: the doorbell: tells a callback URL that a KF account has something to read.
import { randomInt } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { z } from 'zod';
import { issueSyncToken } from '../platform/platform.ts';
import { opaqueId } from '../platform/random.ts';
import type { World } from '../platform/world.ts';
import { encrypt, sign } from './crypto.ts';

export const callbackSchema = z.strictObject({
  url: z.url(),
  token: z.string().min(1),
  encodingAesKey: z.string().length(43),
  /** true: at most one ring under way per account, one more when something came meanwhile. */
  coalesce: z.boolean().default(true),
  lossProbability: z.number().min(0).max(1).default(0),
  duplicateProbability: z.number().min(0).max(1).default(0),
  /** Waits up to so long before a ring, each on its own: rings overtake one another. */
  jitterMs: z.number().min(0).default(0),
});
export type CallbackConfig = z.infer<typeof callbackSchema>;

/** `status` 0: no answer. Attempts are at most 4: only a lost connection or a time-out is tried again. */
export type RingRecord = {
  openKfId: string;
  at: number;
  attempts: number;
  status: number;
  body: string;
  durationMs: number;
};
export type UrlCheckResult = { ok: boolean; status: number; body: string; durationMs: number };

const RING_TIMEOUT_MS = 5000;
const CHECK_TIMEOUT_MS = 1000;
const RETRIES = 3;
const KEPT_RINGS = 10_000;

export type Doorbell = {
  configure(config: CallbackConfig | undefined): void;
  config(): CallbackConfig | undefined;
  /** Rings for the account in the background, as the settings say. */
  ring(openKfId: string): void;
  /** The GET that the admin console makes when a callback URL is saved. */
  checkUrl(): Promise<UrlCheckResult>;
  rings(): RingRecord[];
  clear(): void;
};

export function createDoorbell(world: World, corpId: string, stopping: AbortSignal): Doorbell {
  let current: CallbackConfig | undefined;
  let rings: RingRecord[] = [];
  const ringing = new Map<string, 'once' | 'again'>();

  const request = async (url: string, init: RequestInit, timeoutMs: number) => {
    const began = performance.now();
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), stopping]);
      const response = await fetch(url, { ...init, signal });
      return { status: response.status, body: await response.text(), durationMs: performance.now() - began };
    } catch {
      // Connection lost or too slow: the caller retries; 0 stands for no answer.
      return { status: 0, body: '', durationMs: performance.now() - began };
    }
  };

  const ringOnce = async (openKfId: string, config: CallbackConfig): Promise<void> => {
    if (config.jitterMs > 0) await wait(Math.random() * config.jitterMs, undefined, { signal: stopping });
    if (Math.random() < config.lossProbability) return;
    const { url, body } = notification(world, corpId, openKfId, config);
    const times = Math.random() < config.duplicateProbability ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      const at = world.clock.realMs();
      const init = { method: 'POST', body, headers: { 'content-type': 'text/xml' } };
      let result = await request(url, init, RING_TIMEOUT_MS);
      let attempts = 1;
      for (; result.status === 0 && attempts <= RETRIES && !stopping.aborted; attempts += 1) {
        result = await request(url, init, RING_TIMEOUT_MS);
      }
      if (rings.length < KEPT_RINGS) rings.push({ openKfId, at, attempts, ...result });
    }
  };

  const ringCoalesced = async (openKfId: string, config: CallbackConfig): Promise<void> => {
    if (ringing.has(openKfId)) {
      ringing.set(openKfId, 'again');
      return;
    }
    do {
      ringing.set(openKfId, 'once');
      await ringOnce(openKfId, config);
    } while (ringing.get(openKfId) === 'again' && !stopping.aborted);
    ringing.delete(openKfId);
  };

  return {
    configure(config) {
      current = config;
    },
    config: () => current,
    ring(openKfId) {
      if (current === undefined) return;
      const ring = current.coalesce ? ringCoalesced : ringOnce;
      // Only the wait can fail, and only because the simulator stops.
      ring(openKfId, current).catch(() => ringing.delete(openKfId));
    },
    async checkUrl() {
      if (current === undefined) throw new Error('no callback URL is set');
      const plain = opaqueId(20 + randomInt(32));
      const echo = encrypt(current.encodingAesKey, plain, corpId);
      const query = signedQuery(world, current.token, echo);
      query.set('echostr', echo);
      const result = await request(withQuery(current.url, query), {}, CHECK_TIMEOUT_MS);
      return { ok: result.status === 200 && result.body === plain, ...result };
    },
    rings: () => rings,
    clear() {
      rings = [];
    },
  };
}

function notification(world: World, corpId: string, openKfId: string, config: CallbackConfig) {
  const inner = `<xml><ToUserName><![CDATA[${corpId}]]></ToUserName><CreateTime>${world.clock.nowS()}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[${issueSyncToken(world)}]]></Token><OpenKfId><![CDATA[${openKfId}]]></OpenKfId></xml>`;
  const encrypted = encrypt(config.encodingAesKey, inner, corpId);
  const query = signedQuery(world, config.token, encrypted);
  const body = `<xml><ToUserName><![CDATA[${corpId}]]></ToUserName><Encrypt><![CDATA[${encrypted}]]></Encrypt><AgentID><![CDATA[]]></AgentID></xml>`;
  return { url: withQuery(config.url, query), body };
}

function signedQuery(world: World, token: string, encrypted: string): URLSearchParams {
  const timestamp = String(world.clock.nowS());
  const nonce = String(randomInt(1_000_000_000));
  return new URLSearchParams({ msg_signature: sign(token, timestamp, nonce, encrypted), timestamp, nonce });
}

function withQuery(url: string, query: URLSearchParams): string {
  return `${url}${url.includes('?') ? '&' : '?'}${query}`;
}
