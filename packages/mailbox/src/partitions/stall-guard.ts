// Notices a partition that the broker has stopped delivering, although messages wait in it (seen on RabbitMQ 4.3).
import { errorCode } from '@pipeline/runtime';

/** Nothing came for so many looks: a message of our own is put into the queue. */
const SILENT_LOOKS = 20;
/** It hasn't come back for so many more: nothing is delivered. */
const UNANSWERED_LOOKS = 10;

/** Counts looks, not time: a process that was frozen has missed no delivery. */
export interface StallGuard {
  delivered(): void;
  /** @param isExpecting whether the broker could deliver: subscribed as the owner, and below the prefetch */
  look(isExpecting: boolean): void;
  /** From when it is noticed until the next delivery. */
  isStalled(): boolean;
}

/** @param deps.probe publishes a message into the partition's queue; rejects with `publish-refused` if that is full */
export function createStallGuard(deps: { probe(): Promise<void>; noticed(): void }): StallGuard {
  let silentLooks = 0;
  let isAsking = false;
  /** Looks since there surely is something to deliver; null while that isn't known. */
  let unansweredLooks: number | null = null;
  let isStalled = false;

  const begin = () => {
    silentLooks = 0;
    unansweredLooks = null;
  };

  const ask = async () => {
    isAsking = true;
    const hasMessage = await deps.probe().then(
      () => true,
      (error) => errorCode(error) === 'publish-refused',
    );
    isAsking = false;
    if (hasMessage && silentLooks >= SILENT_LOOKS) unansweredLooks = 0;
  };

  return {
    delivered() {
      isStalled = false;
      begin();
    },
    look(isExpecting) {
      if (!isExpecting) return begin();
      silentLooks++;
      if (unansweredLooks === null) {
        if (silentLooks >= SILENT_LOOKS && !isAsking) void ask();
      } else if (++unansweredLooks >= UNANSWERED_LOOKS) {
        isStalled = true;
        begin();
        deps.noticed();
      }
    },
    isStalled: () => isStalled,
  };
}
