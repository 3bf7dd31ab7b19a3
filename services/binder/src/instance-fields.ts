// binder: what an operator may register as an instance. Every refusal names its field.
import { checkShape, describeFaults, HttpError, literalAddress, type Networks, refuseAddress } from '@pipeline/runtime';
import type { Instance, InstanceFields } from '@pipeline/store';
import { z } from 'zod';

// Ids stand in URLs: no escaping needed, and never `.` or `..`.
const ID = /^(?=.*[A-Za-z0-9])[A-Za-z0-9._:-]{1,128}$/;
const HOST_LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;

const PORT_RANGE = 'must be a whole number from 1 to 65535';

const words = (max: number) =>
  z
    .string()
    .trim()
    .refine((value) => value !== '' && [...value].length <= max, `must have 1 to ${max} characters`)
    .refine((value) => value.isWellFormed() && !/\p{Cc}/u.test(value), 'must not hold control characters');

export interface InstanceRules {
  /** @throws HttpError 400 */
  readNew(body: unknown): Instance;
  /** The fields to change, checked together with the ones that stay. @throws HttpError 400 */
  readChanges(body: unknown, current: InstanceFields): Partial<InstanceFields>;
}

/**
 * A `serverHost` may be empty (no bridge yet); then `hostPort` may be left out, null or 0, which all mean none.
 * A changed instance keeps its id; unknown fields are ignored.
 */
export function instanceRules(allowed: Networks): InstanceRules {
  const fields = z.object({
    name: words(100),
    status: words(50),
    serverHost: z
      .string()
      .trim()
      .transform((value) => value.replace(/^\[(.*)\]$/, '$1'))
      .superRefine((value, context) => {
        const problem = hostProblem(value, allowed);
        if (problem !== null) context.addIssue({ code: 'custom', message: problem });
      }),
    hostPort: z
      .int(PORT_RANGE)
      .min(0, PORT_RANGE)
      .max(65_535, PORT_RANGE)
      .nullish()
      .transform((value) => value ?? 0),
  });
  const newInstance = fields.extend({
    id: z.string().regex(ID, 'must have 1 to 128 of the characters A-Z a-z 0-9 . _ : -'),
  });

  return {
    readNew(body) {
      const { id, ...given } = parse(newInstance, body);
      requirePort(given);
      return { _id: id, ...given };
    },
    readChanges(body, current) {
      const given = parse(fields.partial(), body);
      // zod gives an absent hostPort its default; here absent means unchanged.
      const isPortGiven = Object.hasOwn(body as object, 'hostPort');
      const changes = Object.fromEntries(
        Object.entries(given).filter(([name, value]) => value !== undefined && (name !== 'hostPort' || isPortGiven)),
      ) as Partial<InstanceFields>;
      requirePort({ ...current, ...changes });
      return changes;
    },
  };
}

function parse<S extends z.ZodType>(schema: S, body: unknown): z.infer<S> {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw new HttpError(400, 'malformed', 'the body must be a JSON object');
  const checked = checkShape(schema, body);
  if (checked.faults) throw new HttpError(400, 'invalid-field', describeFaults(checked.faults));
  return checked.value;
}

function requirePort({ serverHost, hostPort }: Pick<InstanceFields, 'serverHost' | 'hostPort'>): void {
  if (serverHost !== '' && hostPort === 0)
    throw new HttpError(400, 'invalid-field', `hostPort: ${PORT_RANGE} when there is a serverHost`);
}

/** Why this can't be the host of a bridge, or null. Names are resolved, and their addresses checked, at each call. */
function hostProblem(host: string, allowed: Networks): string | null {
  if (host === '') return null;
  const address = literalAddress(host);
  if (address !== null) {
    const refusal = refuseAddress(address, allowed);
    return refusal === null ? null : `must not be ${refusal}`;
  }
  const labels = host.replace(/\.$/, '').split('.');
  const isName = host.length <= 253 && labels.every((label) => HOST_LABEL.test(label));
  // A last label of digits makes it an IPv4 address for every client, and this one is none.
  return isName && !/^\d+$/.test(labels.at(-1) ?? '')
    ? null
    : 'must be a host name, an IPv4 or an IPv6 address, or empty';
}
