// How a message stands on the wire: its kind and ids in AMQP's own properties, its body as JSON.
import type { z } from 'zod';

/** A kind of message: its `type` property and the shape of its body. */
export interface MessageKind<T extends string, S extends z.ZodType> {
  type: T;
  schema: S;
}

export function messageKind<T extends string, S extends z.ZodType>(type: T, schema: S): MessageKind<T, S> {
  return { type, schema };
}

/** A message to publish. */
export interface OutgoingMessage {
  type: string;
  /** Stable and derived, never random: a repeated publish carries the same id. */
  messageId: string;
  /** The msgid of the customer message that all this is about. */
  correlationId: string;
  body: unknown;
}
