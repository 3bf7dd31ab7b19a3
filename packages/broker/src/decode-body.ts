// From the bytes of a delivery to a body that keeps to its contract.
import type { MessageKind } from '@pipeline/contracts';
import { InvalidMessageError } from '@pipeline/runtime';
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
  } catch (cause) {
    throw new InvalidMessageError('message-unreadable', `${kind.type} is not JSON`, { cause });
  }
  const result = kind.schema.safeParse(json, { reportInput: false });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new InvalidMessageError('message-invalid', `${kind.type}: ${issue?.path.join('.')}: ${issue?.message}`);
}
