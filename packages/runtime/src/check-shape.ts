// What comes from outside (settings, HTTP bodies, messages) against its zod schema; faults in words a person can act on.
import type { z } from 'zod';

/** Where (`callbackData.msgId`; empty for the whole) and what was expected there. */
export interface Fault {
  path: string;
  expected: string;
}

/** The value as its schema has it, or every fault. A fault never holds the value, which may be secret. */
export function checkShape<S extends z.ZodType>(
  schema: S,
  value: unknown,
): { value: z.infer<S>; faults?: never } | { value?: never; faults: Fault[] } {
  const result = schema.safeParse(value, { reportInput: false, error: inWords });
  if (result.success) return { value: result.data };
  return { faults: result.error.issues.map(({ path, message }) => ({ path: path.join('.'), expected: message })) };
}

/** `name: must be a text; hostPort: is required` */
export const describeFaults = (faults: readonly Fault[]): string =>
  faults.map(({ path, expected }) => `${path || 'body'}: ${expected}`).join('; ');

const TYPES: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a JSON object',
  array: 'a list',
};

/** Only where the schema itself has no words. */
function inWords(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return issue.input === undefined ? 'is required' : `must be ${TYPES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return issue.input === undefined ? 'is required' : `must be one of ${issue.values.join(', ')}`;
    case 'too_small':
      if (issue.origin === 'string') return 'must not be empty';
      return `must be ${issue.minimum} or more`;
    case 'too_big':
      return `must be ${issue.maximum} or less`;
    default:
      return 'is not as expected';
  }
}
