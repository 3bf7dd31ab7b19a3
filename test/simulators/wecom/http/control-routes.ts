// WeCom simulator: the control API under /control, JSON in and out.
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { ZodError, z } from 'zod';
import { type Control, ControlError } from '../control.ts';
import { callbackSchema } from '../doorbell/doorbell.ts';
import { faultSchema } from '../faults.ts';
import { settingsPatchSchema } from '../platform/settings.ts';

const fields = z.record(z.string(), z.unknown());
const messageSchema = z.strictObject({
  externalUserId: z.string().min(1).optional(),
  openKfId: z.string().optional(),
  msgtype: z.string().min(1).optional(),
  content: z.string().optional(),
  body: fields.optional(),
  sendTime: z.number().int().optional(),
  msgid: z.string().optional(),
  raw: fields.optional(),
});
const batchSchema = z.strictObject({ messages: z.array(messageSchema) });
const clockSchema = z.strictObject({ offsetMs: z.number() });
const failSchema = z.strictObject({ msgid: z.string(), failType: z.number().int(), openKfId: z.string().optional() });
const enterSchema = z.strictObject({
  externalUserId: z.string().min(1),
  openKfId: z.string().optional(),
  scene: z.string().optional(),
  sceneParam: z.string().optional(),
});
const sessionSchema = z.strictObject({
  externalUserId: z.string().min(1),
  openKfId: z.string().optional(),
  state: z.union([z.literal(0), z.literal(1), z.literal(2), z.literal(3), z.literal(4)]),
  servicerUserId: z.string().optional(),
});
const userSchema = z.strictObject({ externalUserId: z.string().min(1), nickname: z.string().min(1) });
const accountSchema = z.strictObject({ openKfId: z.string().startsWith('wk'), name: z.string().optional() });

export function controlRoutes(control: Control): Router {
  const routes = express.Router();
  routes.use(express.json({ limit: '64mb' }));

  routes.post('/messages', (request, response) => {
    response.status(201).json(control.sendMessage(messageSchema.parse(request.body)));
  });
  routes.post('/messages/batch', (request, response) => {
    response.status(201).json({ messages: control.sendMessages(batchSchema.parse(request.body).messages) });
  });
  routes.get('/messages', (request, response) => {
    const { after } = request.query;
    const filter = { user: text(request.query.user), openKfId: text(request.query.openKfId) };
    response.json({
      messages: control.messages({ ...filter, after: after === undefined ? undefined : Number(after) }),
    });
  });
  routes.post('/enter-session', (request, response) => {
    response.status(201).json(control.enterSession(enterSchema.parse(request.body)));
  });
  routes.post('/session', (request, response) => {
    control.moveSession(sessionSchema.parse(request.body));
    response.json({ ok: true });
  });
  routes.post('/users', (request, response) => {
    const { externalUserId, nickname } = userSchema.parse(request.body);
    control.setNickname(externalUserId, nickname);
    response.json({ ok: true });
  });
  routes.post('/accounts', (request, response) => {
    const { openKfId, name } = accountSchema.parse(request.body);
    control.addAccount(openKfId, name);
    response.json({ ok: true });
  });

  routes.post('/faults', (request, response) => {
    response.status(201).json(control.addFault(faultSchema.parse(request.body)));
  });
  routes.get('/faults', (_request, response) => {
    response.json({ faults: control.faults() });
  });
  routes.delete('/faults{/:id}', (request, response) => {
    response.json({ removed: control.removeFaults(request.params.id) });
  });
  routes.post('/tokens/revoke', (_request, response) => {
    response.json({ revoked: control.revokeTokens() });
  });
  routes.post('/sync-tokens', (_request, response) => {
    response.status(201).json({ token: control.issueSyncToken() });
  });
  routes.post('/clock', (request, response) => {
    control.setClock(clockSchema.parse(request.body).offsetMs);
    response.json({ ok: true });
  });
  routes.post('/msg-send-fail', (request, response) => {
    control.failSend(failSchema.parse(request.body));
    response.json({ ok: true });
  });
  routes.patch('/settings', (request, response) => {
    response.json(control.changeSettings(settingsPatchSchema.parse(request.body)));
  });
  routes.get('/settings', (_request, response) => {
    response.json(control.settings());
  });

  routes.put('/callback', (request, response) => {
    control.setCallback(callbackSchema.parse(request.body));
    response.json({ ok: true });
  });
  routes.delete('/callback', (_request, response) => {
    control.setCallback(undefined);
    response.json({ ok: true });
  });
  routes.post('/callback/check', async (_request, response) => {
    response.json(await control.checkCallbackUrl());
  });
  routes.post('/callback/ring', (request, response) => {
    control.ring(text(request.query.openKfId));
    response.status(202).json({ ok: true });
  });
  routes.get('/callback/rings', (_request, response) => {
    response.json({ rings: control.rings() });
  });

  routes.get('/sent', (request, response) => {
    const { since } = request.query;
    const filter = { user: text(request.query.user), since: since === undefined ? undefined : Number(since) };
    response.json({ sent: control.sent(filter) });
  });
  routes.get('/refused', (request, response) => {
    response.json({ refused: control.refused({ user: text(request.query.user) }) });
  });
  routes.get('/overlaps', (_request, response) => {
    response.json({ overlaps: control.sendOverlaps() });
  });
  routes.get('/calls', (_request, response) => {
    response.json({ calls: control.calls() });
  });
  routes.get('/state', (_request, response) => {
    response.json(control.state());
  });
  routes.post('/reset', (_request, response) => {
    control.reset();
    response.json({ ok: true });
  });

  return routes;
}

/** Errors of express and of our own as `{ error: { code, message } }`. */
export function answerError(error: unknown, _request: Request, response: Response, _next: NextFunction): void {
  const status = statusOf(error);
  const message =
    error instanceof ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : 'failed';
  response.status(status).json({ error: { code: status === 404 ? 'not_found' : 'bad_request', message } });
}

function statusOf(error: unknown): number {
  if (error instanceof ControlError) return error.status;
  if (error instanceof ZodError) return 400;
  const status = typeof error === 'object' && error !== null && 'status' in error ? error.status : 500;
  return typeof status === 'number' ? status : 500;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
