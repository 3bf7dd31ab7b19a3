// WeCom simulator: the few requests that only the chat page makes.
import express, { type Router } from 'express';
import { z } from 'zod';
import type { Binder } from '../binder.ts';
import { chatView } from '../chat-view.ts';
import { type Control, ControlError } from '../control.ts';
import type { World } from '../platform/world.ts';

const FIRST_PHONES = 3;

const bindSchema = z.strictObject({ instanceId: z.string().min(1), name: z.string().min(1).optional() });

/** `binder` is absent when the simulator wasn't told where one is; the page then hides its binding buttons. */
export function pageRoutes(world: World, control: Control, binder: Binder | undefined): Router {
  const routes = express.Router();
  routes.use(express.json());
  routes.get('/chat', (request, response) => {
    const { chat = [] } = request.query;
    const wanted = (Array.isArray(chat) ? chat : [chat]).filter((key) => typeof key === 'string');
    response.json({ ...chatView(world, control, wanted, FIRST_PHONES), canBind: binder !== undefined });
  });
  routes.post('/bind-code', async (request, response) => {
    const { instanceId, name = instanceId } = bindSchema.parse(request.body);
    if (binder === undefined) throw new ControlError(404, 'no binder is set (BINDER_URL, ADMIN_API_TOKEN)');
    response.status(201).json(await binder.bindCode(instanceId, name));
  });
  return routes;
}
