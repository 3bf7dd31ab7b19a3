// Bridge simulator: what a router must POST to /task-async, to the letter.
import { z } from 'zod';

const CALLBACK_PATH = '/api/v1/agent/channels/wecom/bridge-callback';

const callbackUrlSchema = z.string().superRefine((value, context) => {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) context.addIssue('not an http(s) URL');
  else if (!url.pathname.endsWith(CALLBACK_PATH)) context.addIssue(`path doesn't end with ${CALLBACK_PATH}`);
  else if ((url.searchParams.get('token') ?? '') === '') context.addIssue('no token in the query');
});

export const taskBodySchema = z
  .strictObject({
    prompt: z.string().min(1),
    sessionKey: z.string(),
    idempotencyKey: z.string().min(1),
    timeoutSeconds: z.number().int().positive(),
    callbackUrl: callbackUrlSchema,
    callbackData: z.strictObject({ externalUserId: z.string().min(1), msgId: z.string().min(1) }),
  })
  .superRefine((body, context) => {
    const { externalUserId, msgId } = body.callbackData;
    if (body.sessionKey !== `agent:main:wx-${externalUserId}`) {
      context.addIssue({ code: 'custom', path: ['sessionKey'], message: 'is not agent:main:wx-{externalUserId}' });
    }
    if (body.idempotencyKey !== msgId) {
      context.addIssue({ code: 'custom', path: ['idempotencyKey'], message: 'is not callbackData.msgId' });
    }
    if (body.prompt !== body.prompt.trim()) {
      context.addIssue({ code: 'custom', path: ['prompt'], message: 'is not trimmed' });
    }
  });

export type TaskBody = z.infer<typeof taskBodySchema>;

export type ParsedTask = { ok: true; body: TaskBody } | { ok: false; violations: string[] };

/** Every violation at once, each as `field: what is wrong`. */
export function parseTaskBody(text: string, contentType: string): ParsedTask {
  const violations: string[] = [];
  if (!contentType.startsWith('application/json')) violations.push(`content-type: ${contentType || 'missing'}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Told to the caller below, like every other violation.
    return { ok: false, violations: [...violations, 'body: not JSON'] };
  }
  const parsed = taskBodySchema.safeParse(value);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) violations.push(`${issue.path.join('.') || 'body'}: ${issue.message}`);
  }
  return parsed.success && violations.length === 0 ? { ok: true, body: parsed.data } : { ok: false, violations };
}
