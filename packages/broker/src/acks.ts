// The acks of one channel, sent together: in a quorum queue each is a Raft command, for however many deliveries.
import { untilTick } from '@pipeline/runtime';

/**
 * Nobody waits for an ack. Those of all channels wait for the same moment, to share the way to the broker: so long
 * after the deferred saves of actors (mailbox/commit/group-commit.ts), for the saves that follow.
 */
const BEHIND_ACTORS_MS = 100;
/** Of the prefetch, so much may wait to be acked: the broker has to have room to deliver more. */
const SHARE_OF_PREFETCH = 1 / 4;

export interface Acks<Message> {
  /** To be told of every message of the channel as it comes, also of those that nobody will ack. */
  delivered(message: Message): void;
  /** @param isUrgent at once, with all that wait */
  ack(message: Message, isUrgent: boolean): void;
  /** Acks all that wait; to be called before the channel is closed. */
  flush(): void;
  /** How many are delivered and not acked yet. */
  unacked(): number;
  /** The channel is gone, and its delivery tags with it. */
  end(): void;
}

export function createAcks<Message extends { fields: { deliveryTag: number } }>(
  channel: { ack(message: Message, allUpTo: boolean): void },
  prefetch: number,
): Acks<Message> {
  const most = Math.max(1, Math.floor(prefetch * SHARE_OF_PREFETCH));
  /** By delivery tag, oldest first; null until it is done with. */
  const unacked = new Map<number, Message | null>();
  let waiting = 0;
  let timer: NodeJS.Timeout | undefined;

  /** The oldest ones by a single ack; each one behind a gap by its own, so that it doesn't count as long as the gap lasts. */
  const send = () => {
    let lastOfRun: Message | null = null;
    for (const [tag, message] of unacked) {
      if (!message) break;
      lastOfRun = message;
      unacked.delete(tag);
    }
    if (lastOfRun) channel.ack(lastOfRun, true);
    for (const [tag, message] of unacked) {
      if (!message) continue;
      channel.ack(message, false);
      unacked.delete(tag);
    }
  };

  const stopWaiting = () => {
    clearTimeout(timer);
    timer = undefined;
    waiting = 0;
  };

  const flush = () => {
    stopWaiting();
    try {
      send();
    } catch {
      // amqplib is closing the channel after an error: what isn't acked will come again.
    }
  };

  return {
    delivered: ({ fields }) => void unacked.set(fields.deliveryTag, null),
    ack(message, isUrgent) {
      unacked.set(message.fields.deliveryTag, message);
      waiting++;
      if (isUrgent || waiting >= most) flush();
      else timer ??= setTimeout(flush, untilTick(BEHIND_ACTORS_MS));
    },
    flush,
    unacked: () => unacked.size,
    end() {
      stopWaiting();
      unacked.clear();
    },
  };
}
