// WeCom simulator: the refusals it knows and the shape of their errmsg.

const MEANINGS: Record<number, string> = {
  [-1]: 'system busy',
  40001: 'invalid credential',
  40007: 'invalid media_id',
  40013: 'invalid corpid',
  40014: 'invalid access_token',
  40058: 'invalid Request Parameter',
  40063: 'some parameters are empty',
  40066: 'invalid url',
  40096: 'invalid external userid',
  40201: 'content is blocked',
  41001: 'access_token missing',
  41002: 'corpid missing',
  41004: 'corpsecret missing',
  41050: 'invalid welcome code',
  42001: 'access_token expired',
  44004: 'text content is empty',
  45002: 'message content size out of limit',
  45009: 'api freq out of limit',
  45033: 'concurrent api calls out of limit',
  45035: 'conflicting concurrent writes',
  48002: 'api forbidden',
  48007: 'kf account not granted to this app',
  50100: 'invalid cursor',
  95000: 'invalid open_kfid',
  95001: 'send msg count limit',
  95002: 'send msg over 48 hours',
  95004: 'open_kfid not exist',
  95007: 'invalid msg token',
  95008: 'menu item count out of limit',
  95009: 'invalid menu item type',
  95013: 'conversation end',
  95014: 'servicer not active',
  95016: 'session state transition not allowed',
  95018: 'send msg session status invalid',
  95033: 'msgid duplicate',
};

export type ApiAnswer = { errcode: number; errmsg: string } & Record<string, unknown>;

let hintSeed = Date.now() % 1_000_000_000;

/** A refusal as the platform words it; hint and address differ each time, so nobody can match on the text. */
export function refusal(errcode: number, text = MEANINGS[errcode] ?? 'unknown error'): ApiAnswer {
  hintSeed = (hintSeed * 48271) % 2147483647;
  const hint = `${1_700_000_000 + (hintSeed % 99_999_999)}${hintSeed}`;
  const address = `10.${hintSeed % 256}.${(hintSeed >> 8) % 256}.${(hintSeed >> 16) % 256}`;
  const more = `https://open.work.weixin.qq.com/devtool/query?e=${errcode}`;
  return { errcode, errmsg: `${text}, hint: [${hint}], from ip: ${address}, more info at ${more}` };
}

export function accepted(fields: Record<string, unknown> = {}): ApiAnswer {
  return { errcode: 0, errmsg: 'ok', ...fields };
}

/** What the platform says to a body it can't parse: errcode 0, and nothing done. */
export function wrongJson(): ApiAnswer {
  return { errcode: 0, errmsg: 'ok. Warning: wrong json format. ' };
}
