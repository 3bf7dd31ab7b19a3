// WeCom rings instead of being polled: the whole pipeline hears of a message at once.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const keys = { token: 'e2e-callback-token', encodingAesKey: randomBytes(32).toString('base64').slice(0, 43) };
let pipeline: Pipeline;
beforeAll(async () => {
  const env = { IT0_WECOM_CALLBACK_TOKEN: keys.token, IT0_WECOM_CALLBACK_AES_KEY: keys.encodingAesKey };
  pipeline = await startPipeline({ partitions: 4, env });
  const network = { coalesce: true, lossProbability: 0, duplicateProbability: 0.3, jitterMs: 5 };
  pipeline.wecom.control.setCallback({ ...keys, url: `${pipeline.services.ingest.url}/wecom/callback`, ...network });
});
afterAll(() => pipeline?.stop());

test('the console accepts the URL, and each message is pulled by its ring, not by the poll half a minute later', async () => {
  expect(await pipeline.wecom.control.checkCallbackUrl()).toMatchObject({ ok: true });
  await pipeline.bind('wm-bell');
  for (const text of ['一', '二', '三']) {
    pipeline.say('wm-bell', text);
    await pipeline.hears('wm-bell', new RegExp(`「${text}」`));
  }
  const pulls = pipeline.wecom.control.messages().map((each) => (each.firstReturnedAt ?? 0) - each.injectedAt);
  expect(Math.max(...pulls)).toBeLessThan(2_000);
  expect(pipeline.wecom.control.rings().every(({ status }) => status === 200)).toBe(true);
  const logs = pipeline.services.ingest.logs().join('\n');
  for (const secret of Object.values(keys)) expect(logs).not.toContain(secret);
});
