// What an earlier version left when it was stopped: answers stored on their tasks, and effects that refer to them.
import type { Store } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { taskId } from './callback-token.ts';
import type { PublishAnswer } from './publish-answer.ts';

/** Publishes answers that no turn had taken. Every replica may do so: repeats do nothing. */
export async function takeOldAnswers(deps: {
  store: Pick<Store, 'oldAnswers'>;
  publishAnswer: PublishAnswer;
}): Promise<void> {
  const { oldAnswers } = deps.store;
  for (const { _id, userKey, msgId, answer } of await oldAnswers.untaken()) {
    const { ok, content, isTimeout } = answer;
    await deps.publishAnswer(userKey, _id, { msgId, ok, content, isTimeout });
    await oldAnswers.take(_id);
  }
}

/** The content of a text effect that said no more than "the answer to this message". */
export async function contentOfOldEffect(
  { oldAnswers }: Pick<Store, 'oldAnswers'>,
  userKey: string,
  { msgId, isLate }: { msgId: string; isLate?: boolean },
): Promise<string> {
  const found = await oldAnswers.find(taskId(userKey, msgId));
  if (!found) throw new Error(`task ${msgId} has no answer`);
  const { content } = found.answer;
  return isLate ? render('lateReply', { content }) : content;
}
