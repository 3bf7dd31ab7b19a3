// binder: one claimed code ─▶ one binding, in one transaction with what became of the code.
import { type User, userKeyOf } from '@pipeline/contracts';
import type { BindingCode, BindingOutcome, Store } from '@pipeline/store';

type BindStore = Pick<Store, 'transaction' | 'instances' | 'bindings' | 'bindingCodes' | 'now'>;

/** @throws RetryableError `store-away`; anything else is a failure of ours */
export type BindUser = (user: User, code: BindingCode) => Promise<BindingOutcome>;

export function createBindUser(store: BindStore): BindUser {
  return (user, code) =>
    store.transaction(async (session) => {
      // Touched, so that deleting the instance at the same time conflicts with this transaction.
      const instance = await store.instances.touch(code.instanceId, session);
      const outcome = instance ? 'bound' : 'instanceMissing';
      const settled = await store.bindingCodes.settle(code._id, outcome, instance?.name ?? null, session);
      // Settled already: by a replica that was thought dead. Its binding counts, a newer one may even have followed.
      if (!instance || settled.modifiedCount === 0) return outcome;
      await store.bindings.replace(
        {
          _id: userKeyOf(user),
          instanceId: instance._id,
          externalUserId: user.externalUserId,
          boundAt: Math.round(store.now()),
        },
        session,
      );
      return outcome;
    });
}
