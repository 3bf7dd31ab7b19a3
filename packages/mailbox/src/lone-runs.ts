// A crash throws nothing: deliveries that may have killed a process are run with no other one in hand.
import type { Delivery } from '@pipeline/broker';

/** The broker also counts neighbours and clean closes, so this alone proves nothing. */
const SUSPECT_DELIVERIES = 3;

const isSuspect = ({ deliveryCount }: Delivery) => deliveryCount >= SUSPECT_DELIVERIES;

export interface LoneRuns {
  /** Hands a delivery on to be handled: at once, or after the suspect that stands before it. */
  admit(partition: number, delivery: Delivery): void;
  /** It is done with. */
  settled(delivery: Delivery): void;
  /** A suspect waits for all that is in hand, and everything else behind it: what is in hand must not rest. */
  isWaiting(): boolean;
  /** The partition's channel is gone, and with it its deliveries. */
  drop(partition: number): void;
}

/**
 * @param deps.handle begins to handle a delivery; `settled` follows
 * @param deps.waiting a suspect waits, from now on, for all that is in hand: see `isWaiting`
 * @param deps.judge counts a suspect before it is run. Returns what to do once the run is over, whatever came of it
 * (unless the process died), or null if it isn't to be run any more. Must not throw
 */
export function createLoneRuns(deps: {
  handle(partition: number, delivery: Delivery, isAlone: boolean): void;
  waiting(): void;
  judge(delivery: Delivery): Promise<(() => void) | null>;
}): LoneRuns {
  let line: { partition: number; delivery: Delivery }[] = [];
  const inHand = new Map<Delivery, number>();
  let hasWaited = false;
  let suspect: { partition: number; delivery: Delivery; over?: () => void } | null = null;

  const isWaiting = () => !suspect && inHand.size > 0 && line[0] !== undefined && isSuspect(line[0].delivery);

  const handle = (partition: number, delivery: Delivery, isAlone: boolean) => {
    inHand.set(delivery, partition);
    deps.handle(partition, delivery, isAlone);
  };

  const advance = () => {
    while (!suspect && !isWaiting()) {
      const next = line.shift();
      if (!next) break;
      if (isSuspect(next.delivery)) void runAlone(next.partition, next.delivery);
      else handle(next.partition, next.delivery, false);
    }
    const waits = isWaiting();
    if (waits && !hasWaited) deps.waiting();
    hasWaited = waits;
  };

  const runAlone = async (partition: number, delivery: Delivery) => {
    const mine = { partition, delivery };
    suspect = mine;
    const over = await deps.judge(delivery);
    if (suspect !== mine) return over?.();
    if (over) {
      suspect.over = over;
      handle(partition, delivery, true);
    } else end();
  };

  const end = () => {
    const { over } = suspect ?? {};
    suspect = null;
    over?.();
    advance();
  };

  return {
    admit(partition, delivery) {
      line.push({ partition, delivery });
      advance();
    },
    settled(delivery) {
      inHand.delete(delivery);
      if (delivery === suspect?.delivery) end();
      else if (line.length > 0) advance();
    },
    isWaiting,
    drop(partition) {
      line = line.filter((waiting) => waiting.partition !== partition);
      for (const [delivery, of] of inHand) if (of === partition) inHand.delete(delivery);
      if (suspect?.partition === partition) end();
      else advance();
    },
  };
}
