import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startWecomSimulator, type WecomSimulator } from '../start-wecom-simulator.ts';
import { createWecomApi } from '../wecom-api.ts';
import { decrypt, encrypt, sign } from './crypto.ts';

const TOKEN = 'QDG6eK';
const AES_KEY = 'jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C';

describe("the callback's crypto", () => {
  it("agrees with the sample of the platform's own page", () => {
    const encrypted =
      'RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLxAUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/uh9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q==';
    expect(sign(TOKEN, '1409659813', '1372623149', encrypted)).toBe('477715d11cdb4164915debcba66cb864d751f3e6');
    expect(decrypt(AES_KEY, encrypted).receiveId).toBe('wx5823bf96d3bd56c7');
  });

  it('reads back every padding from 1 to 32 bytes', () => {
    for (let length = 0; length < 64; length += 1) {
      const message = 'x'.repeat(length);
      expect(decrypt(AES_KEY, encrypt(AES_KEY, message, 'ww-demo'))).toEqual({ message, receiveId: 'ww-demo' });
    }
  });
});

describe('the doorbell', () => {
  let simulator: WecomSimulator;
  let receiver: Server;
  let url: string;
  let requests: { method: string; url: URL; body: string }[];
  let failures: number;

  beforeEach(async () => {
    requests = [];
    failures = 0;
    receiver = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const target = new URL(request.url ?? '', 'http://localhost');
      requests.push({ method: request.method ?? '', url: target, body: Buffer.concat(chunks).toString() });
      if (failures > 0) {
        failures -= 1;
        response.destroy();
        return;
      }
      const echo = target.searchParams.get('echostr');
      response.end(echo === null ? 'success' : decrypt(AES_KEY, echo).message);
    });
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/wecom/callback`;
    simulator = await startWecomSimulator({ callback: { url, token: TOKEN, encodingAesKey: AES_KEY } });
  });
  afterEach(async () => {
    await simulator.close();
    receiver.closeAllConnections();
    await new Promise((resolve) => receiver.close(resolve));
  });

  const rung = async (times: number) => {
    for (let tries = 0; simulator.control.rings().length < times; tries += 1) {
      if (tries > 300) throw new Error('the doorbell did not ring');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  it('rings for a message with a signed notification whose token works for sync_msg', async () => {
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'hi' });
    await rung(1);
    const [request] = requests;
    const encrypted = /<Encrypt><!\[CDATA\[(.*?)\]\]>/.exec(request?.body ?? '')?.[1] ?? '';
    const query = request?.url.searchParams;
    const signature = sign(TOKEN, query?.get('timestamp') ?? '', query?.get('nonce') ?? '', encrypted);
    expect(query?.get('msg_signature')).toBe(signature);
    const { message, receiveId } = decrypt(AES_KEY, encrypted);
    expect(receiveId).toBe('ww-demo');
    expect(message).toContain('<Event><![CDATA[kf_msg_or_event]]></Event>');
    expect(message).toContain('<OpenKfId><![CDATA[wk-demo]]></OpenKfId>');
    const token = /<Token><!\[CDATA\[(.*?)\]\]>/.exec(message)?.[1];
    expect(await createWecomApi(simulator).sync({ token })).toMatchObject({ errcode: 0, msg_list: [{}] });
  });

  it('rings again after lost connections, three times at most', async () => {
    failures = 2;
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'hi' });
    await rung(1);
    failures = 9;
    simulator.control.sendMessage({ externalUserId: 'wm-a', content: 'hi' });
    await rung(2);
    expect(simulator.control.rings()).toMatchObject([
      { attempts: 3, status: 200 },
      { attempts: 4, status: 0 },
    ]);
  });

  it('checks the URL as the admin console does', async () => {
    expect(await simulator.control.checkCallbackUrl()).toMatchObject({ ok: true, status: 200 });
    expect(requests[0]?.method).toBe('GET');
  });
});
