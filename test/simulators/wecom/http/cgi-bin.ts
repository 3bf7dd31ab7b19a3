// WeCom simulator: one call under /cgi-bin from request to response, faults on command included.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { FaultAction, Faults } from '../faults.ts';
import { refusal } from '../platform/errcodes.ts';
import { failSent } from '../platform/platform.ts';
import { readSend, recordRefused } from '../platform/send-msg.ts';
import type { SyncWish } from '../platform/sync-msg.ts';
import { markReturned } from '../platform/sync-msg.ts';
import type { World } from '../platform/world.ts';
import { apiName, type Call, type CallResult, runCall } from './endpoints.ts';
import { readBody } from './read-body.ts';

const MAX_BODY_BYTES = 21 * 1024 * 1024;

type Action = Exclude<FaultAction, { kind: 'delay' }>;

export type CgiBin = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

export function createCgiBin(world: World, faults: Faults, stopping: AbortSignal): CgiBin {
  const pause = (ms: number) => (ms > 0 ? wait(ms, undefined, { signal: stopping }).catch(() => undefined) : undefined);

  return async (request, response) => {
    const [path = '', search = ''] = (request.url ?? '').split('?', 2);
    const api = apiName(path);
    const counts = world.journal.callBegun(api);
    let outcome = 'aborted';
    let endSend: (() => void) | undefined;
    try {
      const bytes = await readBody(request, MAX_BODY_BYTES);
      if (bytes === undefined) return;
      const call: Call = {
        api,
        method: request.method ?? 'GET',
        query: new URLSearchParams(search),
        contentType: request.headers['content-type'] ?? '',
        bytes,
        body: parseObject(request.method === 'POST' ? bytes : undefined, request.headers['content-type'] ?? ''),
        arrivedAt: world.clock.realMs(),
        syncWish: {},
      };
      if (api === 'send_msg') endSend = beginSend(call, response);
      const user = subjectUser(world, call);
      const { delays, action } = faults.pick({ api, user, openKfId: subjectAccount(call) });
      const kinds = [...delays, ...(action ? [action] : [])].map(({ kind }) => kind);
      if (kinds.length > 0) world.journal.addFaultHit({ at: call.arrivedAt, api, externalUserId: user, kinds });
      for (const delay of delays) {
        if (delay.afterProcessing !== true) await pause(delay.delayMs + Math.random() * (delay.jitterMs ?? 0));
      }
      const limit = world.settings.maxConcurrentCalls;
      if (limit !== null && counts.inFlight > limit) {
        outcome = '45033';
        sendJson(response, refusal(45033));
        return;
      }
      outcome = await handle(call, action, response, async () => {
        for (const delay of delays) {
          if (delay.afterProcessing === true) await pause(delay.delayMs + Math.random() * (delay.jitterMs ?? 0));
        }
      });
    } finally {
      endSend?.();
      world.journal.callEnded(api, outcome);
    }
  };

  /** Under way until it is answered here or the caller hangs up, whichever is first. */
  function beginSend(call: Call, response: ServerResponse): () => void {
    const { user, openKfId, msgid } = readSend(call.body ?? {});
    const end = world.journal.sendBegun({ openKfId, externalUserId: user, msgid, at: call.arrivedAt });
    response.once('close', end);
    return end;
  }

  async function handle(
    call: Call,
    action: Action | undefined,
    response: ServerResponse,
    beforeAnswer: () => Promise<void>,
  ): Promise<string> {
    if (action?.kind === 'drop') {
      response.destroy();
      return 'dropped';
    }
    if (action?.kind === 'errcode') {
      const refused = refusal(action.errcode, action.errmsg);
      if (call.api.startsWith('send_msg')) recordRefused(world, call.api, call.body ?? {}, refused, true);
      sendJson(response, refused);
      return String(action.errcode);
    }
    if (action !== undefined && 'processed' in action && action.processed === true) await runCall(world, call);
    switch (action?.kind) {
      case 'status':
        response.writeHead(action.status, { 'content-type': 'text/html' }).end(action.body ?? '<h1>Bad Gateway</h1>');
        return `http${action.status}`;
      case 'notJson':
        response.writeHead(200, { 'content-type': 'application/json' }).end(action.body ?? '<html>busy</html>');
        return 'notJson';
      case 'huge':
        response.writeHead(200, { 'content-type': 'application/json' });
        response.end(`{"errcode":0,"errmsg":"${'x'.repeat(action.bytes)}"}`);
        return 'huge';
      case 'hang':
        await new Promise<void>((resolve) => response.once('close', resolve));
        return 'hung';
      default:
    }
    call.syncWish = syncWish(action);
    const result = await runCall(world, call);
    await beforeAnswer();
    return respond(result, action, response);
  }

  function respond(result: CallResult, action: Action | undefined, response: ServerResponse): string {
    const code = String(result.answer.errcode);
    if (action?.kind === 'acceptThenDrop') {
      response.destroy();
      return `${code}-dropped`;
    }
    if (action?.kind === 'cut') {
      const text = JSON.stringify(result.answer);
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
      response.writeHead(200, headers);
      response.write(text.slice(0, action.bytes ?? Math.floor(text.length / 2)), () => response.destroy());
      return `${code}-cut`;
    }
    if (action?.kind === 'acceptThenFail' && result.sent !== undefined) {
      const { sent } = result;
      const timer = setTimeout(() => failSent(world, sent, action.failType), action.afterMs ?? 0);
      stopping.addEventListener('abort', () => clearTimeout(timer), { once: true });
    }
    if (result.file !== undefined) {
      sendFile(result.file, response);
      return code;
    }
    // The connection may be gone already; then nothing was returned to anybody.
    if (result.sync !== undefined && !response.destroyed) markReturned(world, result.sync);
    sendJson(response, result.answer);
    return code;
  }
}

function sendJson(response: ServerResponse, body: unknown): void {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json; charset=UTF-8', 'content-length': Buffer.byteLength(text) };
  response.writeHead(200, headers).end(text);
}

/** Whole, or the part that a Range header asks for. */
function sendFile(file: NonNullable<CallResult['file']>, response: ServerResponse): void {
  const headers = {
    'content-type': file.contentType || 'application/octet-stream',
    'content-disposition': `attachment; filename="${encodeURIComponent(file.name)}"`,
  };
  const range = /^bytes=(\d+)-(\d*)$/.exec(response.req.headers.range ?? '');
  if (range === null) {
    response.writeHead(200, { ...headers, 'content-length': file.bytes.length }).end(file.bytes);
    return;
  }
  const from = Number(range[1]);
  const to = Math.min(range[2] === '' ? file.bytes.length - 1 : Number(range[2]), file.bytes.length - 1);
  const part = file.bytes.subarray(from, to + 1);
  const contentRange = `bytes ${from}-${to}/${file.bytes.length}`;
  response.writeHead(206, { ...headers, 'content-range': contentRange, 'content-length': part.length }).end(part);
}

function parseObject(bytes: Buffer | undefined, contentType: string): Record<string, unknown> | undefined {
  if (bytes === undefined || bytes.length === 0 || contentType.startsWith('multipart/')) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    // The platform answers such bodies with a warning, not an error.
    return undefined;
  }
}

function syncWish(action: Action | undefined): SyncWish {
  if (action?.kind === 'emptyPage') return { emptyPage: true };
  if (action?.kind === 'shortPage') return { maxItems: action.maxItems };
  if (action?.kind === 'replay') return { replay: action.items };
  return {};
}

function subjectUser(world: World, { body }: Call): string | undefined {
  if (body === undefined) return undefined;
  if (typeof body.touser === 'string') return body.touser;
  if (typeof body.external_userid === 'string') return body.external_userid;
  return typeof body.code === 'string' ? world.eventCodes.get(body.code)?.externalUserId : undefined;
}

function subjectAccount({ body }: Call): string | undefined {
  return typeof body?.open_kfid === 'string' ? body.open_kfid : undefined;
}
