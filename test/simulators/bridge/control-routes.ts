// Bridge simulator: the control API under /control, on the first port only; JSON in and out.
import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { ZodError, z } from 'zod';
import { behaviourPatchSchema, ruleSchema } from './behaviour.ts';
import type { BridgeControl } from './bridge-control.ts';

const listenerSchema = z.strictObject({ port: z.number().int().min(0).max(65535).default(0) });
const settingsSchema = z.strictObject({
  isIdempotent: z.boolean().optional(),
  readsPrompts: z.boolean().optional(),
  behaviour: behaviourPatchSchema.optional(),
});

export function controlRoutes(control: BridgeControl): Router {
  const routes = express.Router();
  routes.use(express.json({ limit: '4mb' }));

  routes.post('/listeners', async (request, response) => {
    const { port } = listenerSchema.parse(request.body ?? {});
    response.status(201).json({ port: await control.listen(port) });
  });
  routes.get('/listeners', (_request, response) => {
    response.json({ ports: control.ports() });
  });
  routes.delete('/listeners/:port', async (request, response) => {
    response.json({ closed: await control.stopListening(Number(request.params.port)) });
  });

  routes.post('/rules', (request, response) => {
    response.status(201).json(control.addRule(ruleSchema.parse(request.body)));
  });
  routes.get('/rules', (_request, response) => {
    response.json({ rules: control.rules() });
  });
  routes.delete('/rules{/:id}', (request, response) => {
    response.json({ removed: control.removeRules(request.params.id) });
  });
  routes.patch('/settings', (request, response) => {
    response.json(control.changeSettings(settingsSchema.parse(request.body)));
  });
  routes.get('/settings', (_request, response) => {
    response.json(control.settings());
  });

  routes.get('/tasks', (request, response) => {
    const { user, port, since } = request.query;
    const tasks = control.tasks({ user: text(user), port: number(port), since: number(since) });
    response.json({ tasks });
  });
  routes.get('/tasks/:msgId', (request, response) => {
    const task = control.task(request.params.msgId);
    if (task !== undefined) response.json(task);
    else response.status(404).json({ error: { code: 'not_found', message: 'no task with this key' } });
  });
  routes.get('/counts', (_request, response) => {
    response.json(control.counts());
  });
  routes.get('/overlaps', (_request, response) => {
    response.json({ overlaps: control.overlaps() });
  });
  routes.get('/violations', (_request, response) => {
    response.json({ violations: control.violations() });
  });
  routes.post('/reset', (_request, response) => {
    control.reset();
    response.json({ ok: true });
  });
  return routes;
}

export function answerError(error: unknown, _request: Request, response: Response, _next: NextFunction): void {
  const message =
    error instanceof ZodError ? z.prettifyError(error) : error instanceof Error ? error.message : 'failed';
  response.status(error instanceof ZodError ? 400 : 500).json({ error: { code: 'bad_request', message } });
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function number(value: unknown): number | undefined {
  return typeof value === 'string' && value !== '' ? Number(value) : undefined;
}
