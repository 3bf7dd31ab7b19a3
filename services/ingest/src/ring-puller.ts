// ingest: a ring reaches any replica, one of them pulls. The others pass it on over the broker.
import { type Broker, decodeBody } from '@pipeline/broker';
import { exchanges, ring as ringMessage } from '@pipeline/contracts';
import { errorFields, type Logger } from '@pipeline/runtime';
import type { LeaseHolder } from './hold-lease.ts';
import type { Poller } from './poll-messages.ts';

export interface Puller {
  poller: Pick<Poller, 'ring'>;
  lease: Pick<LeaseHolder, 'isHeld'>;
}

/**
 * @param pullers by open_kfid
 * @returns how to ring. A ring that gets lost (broker away) costs time, nothing else: polling finds what it was about.
 */
export function createRingPuller(deps: {
  broker: Pick<Broker, 'consume' | 'publish'>;
  pullers: ReadonlyMap<string, Puller>;
  /** Names this replica. */
  replica: string;
  logger: Logger;
}): (openKfId: string, token: string | null) => void {
  const { broker, pullers, replica, logger } = deps;
  broker.consume({
    queue: { everythingOf: exchanges.ingestRings },
    prefetch: 100,
    consumerTag: `rings ${replica}`,
    onDelivery(delivery) {
      delivery.ack();
      try {
        const { openKfId, token } = decodeBody(ringMessage, delivery.content);
        // Whoever doesn't hold the lease now polls at once when it gets it.
        pullers.get(openKfId)?.poller.ring(token ?? undefined);
      } catch (error) {
        logger.warn(errorFields(error), 'ring.unreadable');
      }
    },
  });
  return (openKfId, token) => {
    const puller = pullers.get(openKfId);
    if (puller?.lease.isHeld()) return puller.poller.ring(token ?? undefined);
    const messageId = crypto.randomUUID();
    broker
      .publish(exchanges.ingestRings, openKfId, {
        type: ringMessage.type,
        messageId,
        correlationId: messageId,
        body: { openKfId, token },
      })
      .catch((error) => logger.warn({ ...errorFields(error), openKfId }, 'ring.not-passed-on'));
  };
}
