// POST …/bridge-callback: the bridge's answer. Stored on its task first; who waits for it hears afterwards.
import { parseUserKey, userKeyOf } from '@pipeline/contracts';
import { checkShape, describeFaults, HttpError, jsonBody, type Logger, type Metrics } from '@pipeline/runtime';
import { type Store, type StoredAnswer, taskId } from '@pipeline/store';
import type { Express } from 'express';
import { z } from 'zod';
import type { AnnounceAnswer } from './announce-answer.ts';
import { type ArrivedAnswers, isTaken } from './arrived-answers.ts';
import { verifyCallbackToken } from './callback-token.ts';

export const CALLBACK_PATH = '/api/v1/agent/channels/wecom/bridge-callback';

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

/** Adds the callback route. Checks in this order: size 413, shape 400, token 401, task 404. */
export function addBridgeCallback(
  app: Express,
  deps: {
    store: () => Store | null;
    /** Null until the mailbox stands; the sweep announces what was stored before. */
    announce: () => AnnounceAnswer | null;
    arrivedAnswers: ArrivedAnswers;
    signingKeys: readonly string[];
    logger: Logger;
    metrics: Metrics;
  },
): void {
  const { arrivedAnswers } = deps;
  const callbacks = deps.metrics.counter('router_callbacks_total', 'Bridge callbacks', ['status'] as const);

  app.post(CALLBACK_PATH, jsonBody(), async (request, response) => {
    const { value: body, faults } = checkShape(callbackBody, request.body);
    if (faults) {
      callbacks.inc({ status: 'malformed' });
      throw new HttpError(400, 'malformed', describeFaults(faults));
    }
    const { ok, callbackData } = body;
    const content = body.content ?? '';
    const isTimeout = body.isTimeout ?? false;
    const msgId = callbackData?.msgId ?? body.msgId ?? '';
    const { token } = request.query;
    const id = typeof token === 'string' ? verifyCallbackToken(token, deps.signingKeys) : null;
    const user = id === null ? null : userOfTask(id, msgId);
    if (id === null || !user || (callbackData && callbackData.externalUserId !== user.externalUserId)) {
      callbacks.inc({ status: 'unauthorized' });
      throw new HttpError(401, 'unauthorized', 'token: missing, or not that of the task in callbackData');
    }
    const store = deps.store();
    if (!store || store.problem() !== null) throw new HttpError(503, 'store-away', 'the answer can not be stored now');
    const answer = { ok, content, isTimeout };
    const userKey = userKeyOf(user);
    const arrived = { answer, stored: store.tasks.storeAnswer({ id, answer, now: store.now() }) };
    const announce = deps.announce();
    const isKept = arrivedAnswers.put(id, arrived);
    let isNeeded = isKept && announce?.arriving(userKey, msgId, arrived) === true;
    let status: StoredAnswer;
    try {
      status = await arrived.stored;
      if (isTaken(status) && !isNeeded) isNeeded = announce?.stored(userKey, msgId) === true;
    } finally {
      // Its conversation is elsewhere, or has no use for it.
      if (isKept && !isNeeded) arrivedAnswers.forget(id);
    }
    callbacks.inc({ status });
    deps.logger.info({ userKey, messageId: msgId, ok, status }, 'answer.received');
    if (status === 'unknown') throw new HttpError(404, 'task-unknown', 'there is no such task');
    response.json({ ok: true, status });
  });
}

/** The user of a task id, if it is that of this message. */
function userOfTask(id: string, msgId: string) {
  if (!id.endsWith(`:${msgId}`)) return null;
  const user = parseUserKey(id.slice(0, -msgId.length - 1));
  return taskId(userKeyOf(user), msgId) === id ? user : null;
}
