// POST …/bridge-callback: the bridge's answer, checked and passed on to its user's mailbox.
import { parseUserKey, userKeyOf } from '@pipeline/contracts';
import { checkShape, describeFaults, HttpError, jsonBody, type Logger, type Metrics } from '@pipeline/runtime';
import type { Express } from 'express';
import { z } from 'zod';
import { taskId, verifyCallbackToken } from './callback-token.ts';
import type { PublishAnswer } from './publish-answer.ts';

export const CALLBACK_PATH = '/api/v1/agent/channels/wecom/bridge-callback';

const RETRY_AFTER_S = 1;

const callbackBody = z
  .object({
    ok: z.boolean(),
    content: z.string().nullish(),
    isTimeout: z.boolean().nullish(),
    msgId: z.string().min(1).optional(),
    callbackData: z.object({ externalUserId: z.string().min(1), msgId: z.string().min(1).optional() }).optional(),
  })
  .refine((body) => !body.ok || typeof body.content === 'string', {
    path: ['content'],
    message: 'is required when ok is true',
  })
  .refine((body) => (body.callbackData?.msgId ?? body.msgId) !== undefined, {
    path: ['callbackData', 'msgId'],
    message: 'is required, here or at the top level',
  });

/** Adds the callback route. Checks in this order: size 413, shape 400, token 401. 503: the broker is away, try again. */
export function addBridgeCallback(
  app: Express,
  deps: {
    publishAnswer: PublishAnswer;
    signingKeys: readonly string[];
    logger: Logger;
    metrics: Metrics;
  },
): void {
  const callbacks = deps.metrics.counter('router_callbacks_total', 'Bridge callbacks', ['status'] as const);

  app.post(CALLBACK_PATH, jsonBody(), async (request, response) => {
    const { value: body, faults } = checkShape(callbackBody, request.body);
    if (faults) {
      callbacks.inc({ status: 'malformed' });
      throw new HttpError(400, 'malformed', describeFaults(faults));
    }
    const { ok, callbackData } = body;
    const msgId = callbackData?.msgId ?? body.msgId ?? '';
    const { token } = request.query;
    const id = typeof token === 'string' ? verifyCallbackToken(token, deps.signingKeys) : null;
    const user = id === null ? null : userOfTask(id, msgId);
    if (id === null || !user || (callbackData && callbackData.externalUserId !== user.externalUserId)) {
      callbacks.inc({ status: 'unauthorized' });
      throw new HttpError(401, 'unauthorized', 'token: missing, or not that of the task in callbackData');
    }
    const answer = { msgId, ok, content: body.content ?? '', isTimeout: body.isTimeout ?? false };
    const userKey = userKeyOf(user);
    const status = await deps.publishAnswer(userKey, id, answer).then(
      ({ isRepeated }) => (isRepeated ? 'repeated' : 'accepted'),
      () => 'unavailable',
    );
    callbacks.inc({ status });
    deps.logger.info({ userKey, messageId: msgId, ok, status }, 'answer.received');
    if (status === 'unavailable') {
      response.set('Retry-After', String(RETRY_AFTER_S));
      throw new HttpError(503, 'broker-away', 'the answer can not be taken now, try again');
    }
    response.json({ ok: true, status: 'accepted' });
  });
}

/** The user of a task id, if it is that of this message. */
function userOfTask(id: string, msgId: string) {
  if (!id.endsWith(`:${msgId}`)) return null;
  const user = parseUserKey(id.slice(0, -msgId.length - 1));
  return taskId(userKeyOf(user), msgId) === id ? user : null;
}
