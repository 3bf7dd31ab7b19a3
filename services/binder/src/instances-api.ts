// Operator ─▶ binder: the instances that users can be bound to.
import { HttpError } from '@pipeline/runtime';
import type { Instance, Store } from '@pipeline/store';
import { Router } from 'express';
import type { InstanceRules } from './instance-fields.ts';

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 100;

type InstanceStore = Pick<Store, 'instances' | 'bindings' | 'bindingCodes' | 'transaction' | 'now'>;

/** Routes below `/api/v1/agent/instances`. `store` throws while there is none yet, which is answered 503. */
export function instancesApi(store: () => InstanceStore, rules: InstanceRules): Router {
  const router = Router();

  router.post('/', async (request, response) => {
    const instance = rules.readNew(request.body);
    const { instances, bindingCodes, transaction, now } = store();
    await transaction(async (session) => {
      if (!(await instances.create(instance, session)))
        throw new HttpError(409, 'instance-exists', `an instance with the id ${instance._id} exists`);
      // A code of a deleted instance that had this id says that one is gone; it must not open this one.
      await bindingCodes.retireLive(instance._id, now(), session);
    });
    response.status(201).json(toAnswer(instance));
  });

  router.get('/', async (request, response) => {
    const limit = readLimit(request.query.limit);
    const after = readAfter(request.query.after);
    // One more than asked for tells whether there is a next page.
    const found = await store().instances.list(after, limit + 1);
    const items = found.slice(0, limit);
    response.json({ items: items.map(toAnswer), next: found.length > limit ? (items.at(-1)?._id ?? null) : null });
  });

  router.get('/:id', async (request, response) => {
    response.json(toAnswer(orMissing(await store().instances.find(request.params.id))));
  });

  router.patch('/:id', async (request, response) => {
    const { id } = request.params;
    const current = orMissing(await store().instances.find(id));
    const changes = rules.readChanges(request.body, current);
    response.json(toAnswer(orMissing(await store().instances.update(id, changes))));
  });

  router.delete('/:id', async (request, response) => {
    const { id } = request.params;
    const { instances, bindings, transaction } = store();
    // Its live code stays: whoever sends it is told that the instance is gone.
    const isRemoved = await transaction(async (session) => {
      if (!(await instances.remove(id, session))) return false;
      await bindings.removeByInstance(id, session);
      return true;
    });
    if (!isRemoved) throw missing();
    response.status(204).end();
  });

  return router;
}

/** The answer to whatever names an instance that isn't there. */
export const missing = () => new HttpError(404, 'instance-missing', 'no such instance');

const orMissing = (instance: Instance | null): Instance => {
  if (!instance) throw missing();
  return instance;
};

const toAnswer = ({ _id, name, status, serverHost, hostPort }: Instance) => ({
  id: _id,
  name,
  status,
  serverHost,
  hostPort,
});

function readLimit(given: unknown): number {
  if (given === undefined) return DEFAULT_LIMIT;
  const limit = typeof given === 'string' && /^\d{1,3}$/.test(given) ? Number(given) : 0;
  if (limit < 1 || limit > MAX_LIMIT)
    throw new HttpError(400, 'invalid-field', `limit: must be between 1 and ${MAX_LIMIT}`);
  return limit;
}

function readAfter(given: unknown): string | null {
  if (given === undefined || given === '') return null;
  if (typeof given !== 'string') throw new HttpError(400, 'invalid-field', 'after: must be given once');
  return given;
}
