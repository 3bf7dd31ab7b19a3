// From the bytes of a delivery to a body that keeps to its contract.
import type { MessageKind } from '@pipeline/contracts';
import { checkShape, describeFaults, InvalidMessageError } from '@pipeline/runtime';
import type { z } from 'zod';

/**
 * The body of a message as its kind describes it; unknown fields are dropped.
 * @throws InvalidMessageError `message-unreadable` or `message-invalid`, naming the field.
 */
export function decodeBody<T extends string, S extends z.ZodType>(
  kind: MessageKind<T, S>,
  content: Buffer,
): z.infer<S> {
  let json: unknown;
  try {
    json = JSON.parse(content.toString('utf8'));
  } catch {
    // The parser's own words would quote the message.
    throw new InvalidMessageError('message-unreadable', `${kind.type} is not JSON`);
  }
  const checked = checkShape(kind.schema, json);
  if (checked.faults)
    throw new InvalidMessageError('message-invalid', `${kind.type}: ${describeFaults(checked.faults)}`);
  return checked.value;
}
