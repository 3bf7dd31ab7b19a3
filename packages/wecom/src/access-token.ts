// The access token: fetched by one caller of one process at a time, renewed before its end, shared through a small store.
import { setTimeout as delay } from 'node:timers/promises';

export interface StoredToken {
  token: string;
  /** When it is to be renewed, in ms since 1970 by the client's clock: WeCom's end less the margin. */
  expiresAt: number;
}

/** Where replicas share the token: gettoken is throttled, and one token serves them all. */
export interface TokenStore {
  read(): Promise<StoredToken | null>;
  write(stored: StoredToken): Promise<void>;
  /** The right to fetch, taken or kept: lapses within seconds, so that a process that dies keeps nobody waiting. */
  claim(): Promise<boolean>;
  release(): Promise<void>;
}

/** The default: a token for this process alone. */
export function createMemoryTokenStore(): TokenStore {
  let stored: StoredToken | null = null;
  return {
    read: async () => stored,
    write: async (next) => {
      stored = next;
    },
    claim: async () => true,
    release: async () => {},
  };
}

export interface AccessToken {
  /** A token that should work. */
  get(): Promise<string>;
  /** Another token than `rejected`, which WeCom refused: one that was fetched meanwhile, else a new one. */
  renew(rejected: string): Promise<string>;
}

interface Dependencies {
  /** One gettoken call: the token and how many seconds WeCom says it lasts. */
  fetchToken: () => Promise<{ token: string; expiresInS: number }>;
  store: TokenStore;
  /** ms since 1970; the same clock in every process that shares the store. */
  clock: () => number;
}

const MARGIN_S = 300;
const SHORT_LIFE_S = 600;
const KEEP_CLAIM_MS = 700;
const LOOK_AGAIN_MS = 50;
/** Longer than a fetch takes: then whoever has the claim must hang, and its calls with it. */
const MAX_WAIT_MS = 10_000;

/** How long a token is used: up to 300 s before its end, or for half of a life shorter than 600 s. */
const usableMs = (expiresInS: number): number =>
  (expiresInS < SHORT_LIFE_S ? expiresInS / 2 : expiresInS - MARGIN_S) * 1000;

/** Errors of `fetchToken` reach every caller that waits for it; the next call tries anew. */
export function createAccessToken({ fetchToken, store, clock }: Dependencies): AccessToken {
  let current: StoredToken | null = null;
  let rejected: string | null = null;
  let inFlight: Promise<StoredToken> | null = null;

  const isUsable = (stored: StoredToken | null): stored is StoredToken =>
    stored !== null && stored.token !== '' && stored.token !== rejected && clock() < stored.expiresAt;

  // A store that can't be reached must not stop us: WeCom hands out tokens without it.
  async function readUsable(): Promise<StoredToken | null> {
    const shared = await store.read().catch(() => null);
    return isUsable(shared) ? shared : null;
  }

  async function load(): Promise<StoredToken> {
    const waitUntil = performance.now() + MAX_WAIT_MS;
    for (;;) {
      const shared = await readUsable();
      if (shared) return shared;
      const isOurs = await store.claim().catch(() => true);
      if (isOurs || performance.now() > waitUntil) return fetchForAll();
      await delay(LOOK_AGAIN_MS);
    }
  }

  async function fetchForAll(): Promise<StoredToken> {
    const keeping = setInterval(() => store.claim().catch(() => false), KEEP_CLAIM_MS);
    try {
      // Whoever had the claim before us may have written one since we looked.
      const shared = await readUsable();
      if (shared) return shared;
      const { token, expiresInS } = await fetchToken();
      // WeCom may hand out the same token until it ends; asking once more for every call would be throttled.
      if (token === rejected) rejected = null;
      const fetched = { token, expiresAt: clock() + usableMs(expiresInS) };
      await store.write(fetched).catch(() => undefined);
      return fetched;
    } finally {
      clearInterval(keeping);
      store.release().catch(() => undefined);
    }
  }

  async function get(): Promise<string> {
    if (isUsable(current)) return current.token;
    inFlight ??= load().finally(() => {
      inFlight = null;
    });
    current = await inFlight;
    return current.token;
  }

  return {
    get,
    async renew(refused) {
      if (current === null || current.token === refused) rejected = refused;
      const isJoining = inFlight !== null;
      const token = await get();
      // What we joined may have read the refused token from the store before we knew.
      return isJoining && token === refused ? get() : token;
    },
  };
}
