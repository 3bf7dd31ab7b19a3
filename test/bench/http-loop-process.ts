// Bench, yardstick: what the pipeline does, by nothing but HTTP in one process: no broker, no database, no guarantee.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { answerCommands } from './child.ts';

const CALLBACK_PATH = '/api/v1/agent/channels/wecom/bridge-callback';
const env = (name: string) => process.env[name] ?? '';
const dispatcher = new Agent({ keepAliveTimeout: 10_000 });
const openKfId = env('BENCH_OPEN_KFID');

async function call<T>(url: string, body?: unknown): Promise<T> {
  const headers = { 'content-type': 'application/json' };
  const options = body === undefined ? {} : ({ method: 'POST', headers, body: JSON.stringify(body) } as const);
  const response = await request(url, { dispatcher, ...options });
  return (await response.body.json()) as T;
}

const wecom = `${env('BENCH_WECOM_URL')}/cgi-bin`;
const credentials = `corpid=${env('BENCH_CORP_ID')}&corpsecret=${env('BENCH_SECRET')}`;
const { access_token: token } = await call<{ access_token: string }>(`${wecom}/gettoken?${credentials}`);

type Item = { msgid: string; external_userid: string; text: { content: string } };
type Page = { next_cursor: string; has_more: number; msg_list: Item[] };
let cursor = '';
let isPulling = false;
let isRung = false;

async function pull(): Promise<void> {
  isRung = true;
  if (isPulling) return;
  isPulling = true;
  while (isRung) {
    isRung = false;
    const page = await call<Page>(`${wecom}/kf/sync_msg?access_token=${token}`, { open_kfid: openKfId, cursor });
    cursor = page.next_cursor;
    if (page.has_more === 1) isRung = true;
    for (const item of page.msg_list) void start(item);
  }
  isPulling = false;
}

function start({ msgid: msgId, external_userid: externalUserId, text }: Item): Promise<unknown> {
  return call(`${env('BENCH_BRIDGE_URL')}/task-async`, {
    prompt: text.content,
    sessionKey: `agent:main:wx-${externalUserId}`,
    idempotencyKey: msgId,
    timeoutSeconds: 120,
    callbackUrl: `${origin}${CALLBACK_PATH}?token=none`,
    callbackData: { externalUserId, msgId },
  });
}

function reply(answer: string): Promise<unknown> {
  const { content, callbackData } = JSON.parse(answer);
  const { externalUserId: touser, msgId: msgid } = callbackData;
  const text = { content };
  const message = { touser, open_kfid: openKfId, msgid, msgtype: 'text', text };
  return call(`${wecom}/kf/send_msg?access_token=${token}`, message);
}

const server = createServer((incoming, response) => {
  let body = '';
  incoming.setEncoding('utf8').on('data', (chunk) => {
    body += chunk;
  });
  incoming.on('end', () => {
    response.end('{"ok":true}');
    void (incoming.url?.startsWith(CALLBACK_PATH) ? reply(body) : pull());
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
// From here on, not with what stood in the log before.
await pull();

answerCommands<never>({ url: origin }, async () => {});
