// IT0 app ─▶ binder: codes by which a user's WeChat is bound to an instance.

import { RetryableError } from '@pipeline/runtime';
import type { Store } from '@pipeline/store';
import { Router } from 'express';
import { missing } from './instances-api.ts';

const MAX_DRAWS = 20;

type CodeStore = Pick<Store, 'instances' | 'bindings' | 'bindingCodes' | 'transaction' | 'now'>;

/** Aborts the transaction: the code is in use, or another request has just made this instance's live one. */
class CodeTaken extends Error {}

/**
 * Routes below `/api/v1/agent/channels/wecom/bind`. `store` throws while there is none yet, which is answered 503.
 * @param drawCode a new random code at each call
 */
export function bindCodeApi(
  store: () => CodeStore,
  options: { codeTtlMs: number; kfUrl: string; drawCode: () => string },
): Router {
  const router = Router();
  const { codeTtlMs, kfUrl, drawCode } = options;

  /**
   * @param isGivenUp whether nobody waits for the code any more: one made now would void that of a later request
   * @returns null if there is no such instance, or nobody waits
   */
  const makeCode = async (
    instanceId: string,
    isGivenUp: () => boolean,
  ): Promise<{ code: string; expiresAt: number } | null> => {
    const { instances, bindingCodes, transaction, now } = store();
    for (let draw = 0; draw < MAX_DRAWS; draw++) {
      const code = drawCode();
      const createdAt = Math.round(now());
      try {
        return await transaction(async (session) => {
          // Touched, so that requests for one instance, its deletion included, come one after another.
          if (!(await instances.touch(instanceId, session)) || isGivenUp()) return null;
          if (!(await bindingCodes.create(code, instanceId, createdAt, codeTtlMs, session))) throw new CodeTaken();
          return { code, expiresAt: createdAt + codeTtlMs };
        });
      } catch (error) {
        if (!(error instanceof CodeTaken)) throw error;
      }
    }
    throw new RetryableError('codes-exhausted', `${MAX_DRAWS} random codes in a row were in use`);
  };

  router.post('/:instanceId', async (request, response) => {
    const made = await makeCode(request.params.instanceId, () => response.destroyed);
    if (response.destroyed) return;
    if (!made) throw missing();
    response.status(201).json({ ...made, kfUrl });
  });

  router.get('/:instanceId', async (request, response) => {
    const { instanceId } = request.params;
    const { instances, bindings, bindingCodes, now } = store();
    const [instance, binding, live] = await Promise.all([
      instances.find(instanceId),
      bindings.findByInstance(instanceId),
      bindingCodes.findLive(instanceId, now()),
    ]);
    if (!instance) throw missing();
    response.json({
      bound: binding !== null,
      ...(binding && { externalUserId: binding.externalUserId, boundAt: binding.boundAt }),
      ...(live && { pendingCode: live._id }),
    });
  });

  router.delete('/:instanceId', async (request, response) => {
    const { instanceId } = request.params;
    const { instances, bindings, bindingCodes, transaction, now } = store();
    const isKnown = await transaction(async (session) => {
      if (!(await instances.touch(instanceId, session))) return false;
      // What has been bound since its sender gave up stays.
      if (response.destroyed) return true;
      await bindings.removeByInstance(instanceId, session);
      await bindingCodes.retireLive(instanceId, now(), session);
      return true;
    });
    if (!isKnown) throw missing();
    response.status(204).end();
  });

  return router;
}
