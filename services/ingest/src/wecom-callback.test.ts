import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createHealth, createHttpServer, createLogger, createMetrics, type HttpServer } from '@pipeline/runtime';
import { createCallbackCrypto } from '@pipeline/wecom';
import { freePorts } from '../../../test/support/pipeline.ts';
import { createWecomCallback } from './wecom-callback.ts';

const NOW_S = 1_700_000_000;
const keys = {
  token: 'callback-token',
  encodingAesKey: randomBytes(32).toString('base64').slice(0, 43),
  receiveId: 'ww1',
};
const wecom = createCallbackCrypto(keys);
const rings: [string, string | null][] = [];
const logged: string[] = [];
const metrics = createMetrics('ingest');
let http: HttpServer;
let url: string;

beforeAll(async () => {
  const [port = 0] = await freePorts(1);
  const logger = createLogger({
    service: 'ingest',
    level: 'trace',
    destination: { write: (line) => logged.push(line) },
  });
  const server = { bindAddress: '127.0.0.1', port, portVariable: 'INGEST_PORT', health: createHealth() };
  http = createHttpServer({ ...server, metrics, logger });
  http.app.use(
    createWecomCallback({
      crypto: createCallbackCrypto(keys),
      accounts: ['wk1', 'wk2'],
      ring: (openKfId, token) => void rings.push([openKfId, token]),
      now: () => NOW_S * 1000,
      logger,
      metrics,
    }),
  );
  await http.listen();
  url = `http://127.0.0.1:${port}/wecom/callback`;
});
afterAll(() => http?.close());
beforeEach(() => {
  rings.length = 0;
  logged.length = 0;
});

interface Sent {
  query: Record<string, string>;
  body: string;
}
let sealings = 0;
function seal(message: string, { crypto = wecom, timestamp = NOW_S } = {}): Sent & { encrypted: string } {
  const signed = { timestamp: String(timestamp), nonce: `n${++sealings}`, encrypted: crypto.encrypt(message) };
  const { timestamp: time, nonce, encrypted } = signed;
  return {
    query: { msg_signature: crypto.sign(signed), timestamp: time, nonce },
    body: `<xml><ToUserName><![CDATA[ww1]]></ToUserName><Encrypt><![CDATA[${encrypted}]]></Encrypt></xml>`,
    encrypted,
  };
}
const notification = (fields: string) =>
  `<xml><ToUserName><![CDATA[ww1]]></ToUserName><CreateTime>${NOW_S}</CreateTime><MsgType><![CDATA[event]]></MsgType>${fields}</xml>`;
const EVENT = '<Event><![CDATA[kf_msg_or_event]]></Event>';
const forAccount = (openKfId: string, token = 'sync-token') =>
  notification(`${EVENT}<Token><![CDATA[${token}]]></Token><OpenKfId><![CDATA[${openKfId}]]></OpenKfId>`);

async function post({ query, body }: Sent, headers: Record<string, string> = { 'content-type': 'text/xml' }) {
  const response = await fetch(`${url}?${new URLSearchParams(query)}`, { method: 'POST', body, headers });
  return { status: response.status, text: await response.text() };
}
const statusOf = async (sent: Sent) => (await post(sent)).status;

describe('the URL check', () => {
  test('is answered with exactly what was encrypted', async () => {
    const { query, encrypted } = seal('1616140317555161061');
    const response = await fetch(`${url}?${new URLSearchParams({ ...query, echostr: encrypted })}`);
    expect([response.status, await response.text()]).toEqual([200, '1616140317555161061']);
  });

  test('stands plus signs that became blanks on the way', async () => {
    let sealed = seal('echo');
    while (!sealed.encrypted.includes('+')) sealed = seal('echo');
    const { query, encrypted } = sealed;
    const response = await fetch(`${url}?${new URLSearchParams(query)}&echostr=${encrypted}`);
    expect([response.status, await response.text()]).toEqual([200, 'echo']);
  });

  test('with another token, or without its parameters, is refused', async () => {
    const { query, encrypted } = seal('echo', { crypto: createCallbackCrypto({ ...keys, token: 'other' }) });
    expect((await fetch(`${url}?${new URLSearchParams({ ...query, echostr: encrypted })}`)).status).toBe(401);
    expect((await fetch(`${url}?${new URLSearchParams(query)}`)).status).toBe(400);
    expect((await fetch(url)).status).toBe(400);
  });
});

describe('a notification', () => {
  test('rings for its account, with its token, and is answered with an empty 200', async () => {
    expect(await post(seal(forAccount('wk2')))).toEqual({ status: 200, text: '' });
    expect(rings).toEqual([['wk2', 'sync-token']]);
  });

  test.each(['application/xml', 'application/json', 'text/plain'])(
    'is read whatever its type says (%s)',
    async (type) => {
      await post(seal(forAccount('wk1')), { 'content-type': type });
      expect(rings).toHaveLength(1);
    },
  );

  test('for an account that is not ours, or of another kind, is taken and does nothing', async () => {
    const change = '<Event><![CDATA[kf_account_auth_change]]></Event><AuthAddOpenKfId>wk1</AuthAddOpenKfId>';
    expect(await statusOf(seal(forAccount('wk9')))).toBe(200);
    expect(await statusOf(seal(notification(change)))).toBe(200);
    expect(rings).toEqual([]);
  });

  test('that names no account rings for all, without a token if it has none', async () => {
    await post(seal(notification(EVENT)));
    expect(rings).toEqual([
      ['wk1', null],
      ['wk2', null],
    ]);
  });

  test('that is sent again is taken and rings no second time', async () => {
    const sent = seal(forAccount('wk1'));
    expect([await statusOf(sent), await statusOf(sent)]).toEqual([200, 200]);
    expect(rings).toHaveLength(1);
  });

  test('that took 9 minutes is taken; replayed after 11, or from the future, it is refused', async () => {
    expect(await statusOf(seal(forAccount('wk1'), { timestamp: NOW_S - 540 }))).toBe(200);
    for (const timestamp of [NOW_S - 660, NOW_S + 660, Number.NaN])
      expect(await statusOf(seal(forAccount('wk1'), { timestamp }))).toBe(401);
    expect(rings).toHaveLength(1);
  });

  test.each(['msg_signature', 'timestamp', 'nonce'])('with another %s is refused', async (name) => {
    const { query, body } = seal(forAccount('wk1'));
    expect(await statusOf({ query: { ...query, [name]: `${query[name]}0` }, body })).toBe(401);
    expect(rings).toEqual([]);
  });

  test('with a body that was tampered with is refused', async () => {
    const { query } = seal(forAccount('wk1'));
    expect(await statusOf({ query, body: seal(forAccount('wk2')).body })).toBe(401);
    expect(rings).toEqual([]);
  });

  test('for another corp is refused, though its signature is good', async () => {
    const crypto = createCallbackCrypto({ ...keys, receiveId: 'ww2' });
    expect(await statusOf(seal(forAccount('wk1'), { crypto }))).toBe(403);
  });

  test.each([
    ['nothing', ''],
    ['no XML', 'no xml'],
    ['broken XML', '<xml><Encrypt></xml>'],
    ['an empty element', '<xml/>'],
    ['another element', '<other><Encrypt>a</Encrypt></other>'],
    ['one text too many', '<xml><Encrypt>a</Encrypt><Encrypt>b</Encrypt></xml>'],
    ['elements in place of text', '<xml><Encrypt><a>b</a></Encrypt></xml>'],
    ['a tower of elements', `<xml>${'<a>'.repeat(20_000)}${'</a>'.repeat(20_000)}</xml>`],
  ])('that is %s is refused', async (_what, body) => {
    expect(await statusOf({ query: seal('x').query, body })).toBe(400);
  });

  test('may name entities, which are not looked up', async () => {
    const entities = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd"><!ENTITY b "&a;&a;">]>';
    const { query } = seal('x');
    expect([400, 401]).toContain(await statusOf({ query, body: `${entities}<xml><Encrypt>&b;</Encrypt></xml>` }));
  });

  test('of over 256 KiB is refused', async () => {
    const { query, body } = seal(forAccount('wk1'));
    expect(await statusOf({ query, body: body + ' '.repeat(256 * 1024) })).toBe(413);
    expect(rings).toEqual([]);
  });

  test('leaves neither keys nor tokens in the log, and is counted', async () => {
    const secret = 'sync-token-that-nobody-may-see';
    const { query, body } = seal(forAccount('wk1', secret));
    await post({ query: { ...query, nonce: 'forged' }, body });
    await post({ query, body });
    const log = logged.join('\n');
    expect(log).toContain('callback-signature-invalid');
    for (const hidden of [secret, keys.token, keys.encodingAesKey, query.msg_signature ?? '-'])
      expect(log).not.toContain(hidden);
    const text = await metrics.registry.metrics();
    for (const outcome of ['rung', 'repeated', 'other_account', 'other_event', 'url_checked', 'callback-expired'])
      expect(text).toContain(`ingest_callbacks_total{outcome="${outcome}",service="ingest"}`);
  });
});
