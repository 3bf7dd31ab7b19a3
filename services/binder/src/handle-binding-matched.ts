// binder.matches ─▶ the binding ─▶ its text to the sender, then the settlement to the router.

import type { Publisher } from '@pipeline/broker';
import {
  type BindingMatched,
  exchanges,
  type ItemSettled,
  itemSettled,
  type OutgoingMessage,
  type Text,
  text,
  userKeyOf,
} from '@pipeline/contracts';
import { type BindingOutcome, replayNumber, type Store } from '@pipeline/store';
import { render, type TextKey } from '@pipeline/texts';
import type { BindUser } from './bind-user.ts';
import { outcomeText } from './binding-rules.ts';

/** `forgotten`: no claimed code is known for the item, so it is an ordinary message. */
export type MatchOutcome = 'codeExpired' | 'forgotten' | BindingOutcome;

export interface MatchHandler {
  /**
   * Binds and answers; a repeat answers again from the stored outcome, with the same ids and words.
   * @throws RetryableError `store-away` or one of the publisher's; anything else is a failure of ours
   */
  handle(match: BindingMatched): Promise<MatchOutcome>;
  /** After repeated failures of ours: stores that, and says so. An outcome stored before is what is said instead. */
  giveUp(match: BindingMatched): Promise<MatchOutcome>;
}

export function createMatchHandler(deps: {
  bindingCodes: Pick<Store['bindingCodes'], 'findClaimed' | 'reopen' | 'settle'>;
  bindUser: BindUser;
  publisher: Publisher;
}): MatchHandler {
  const { bindingCodes, bindUser, publisher } = deps;

  const say = (match: BindingMatched, key: TextKey, content: string) => {
    const textId = `${match.msgId}:${key}`;
    // No courtesy, so it never grows stale; and a repeat must carry the same time.
    const body: Text = { textId, msgId: match.msgId, kind: 'answer', decidedAt: 0, content };
    return publishTo(exchanges.senderMailboxes, match, { type: text.type, messageId: textId, body });
  };

  const settle = (match: BindingMatched, consumed: boolean) => {
    const body: ItemSettled = { msgId: match.msgId, consumed };
    const messageId = `${match.msgId}:settled`;
    return publishTo(exchanges.routerMailboxes, match, { type: itemSettled.type, messageId, body });
  };

  const publishTo = (exchange: string, match: BindingMatched, message: Omit<OutgoingMessage, 'correlationId'>) =>
    publisher.publish(exchange, userKeyOf(match), { ...message, correlationId: match.msgId });

  const answerExpired = async (match: BindingMatched): Promise<MatchOutcome> => {
    await say(match, 'codeExpired', render('codeExpired'));
    await settle(match, true);
    return 'codeExpired';
  };

  const answerFromStored = async (match: BindingMatched): Promise<MatchOutcome> => {
    const claimed = await bindingCodes.findClaimed(userKeyOf(match), match.msgId);
    if (!claimed?.outcome) throw new Error('no outcome is stored with the code');
    const { key, content } = outcomeText(claimed.outcome, claimed.instanceName);
    // In this order: what follows the code may start once it is settled, and its texts come after this one.
    await say(match, key, content);
    await settle(match, true);
    return claimed.outcome;
  };

  return {
    async handle(match) {
      if (match.match === 'expired') return answerExpired(match);
      const claimed = await bindingCodes.findClaimed(userKeyOf(match), match.msgId);
      if (!claimed) {
        await settle(match, false);
        return 'forgotten';
      }
      // A replay shall bind where we could not before.
      const isTriedAgain = claimed.outcome === 'bindFailed' && replayNumber(match.msgId) > 0;
      if (isTriedAgain) await bindingCodes.reopen(claimed._id);
      if (!claimed.outcome || isTriedAgain) await bindUser(match, claimed);
      return answerFromStored(match);
    },

    async giveUp(match) {
      const claimed = await bindingCodes.findClaimed(userKeyOf(match), match.msgId);
      if (claimed) {
        await bindingCodes.settle(claimed._id, 'bindFailed', null);
        return answerFromStored(match);
      }
      const { key, content } = outcomeText('bindFailed', undefined);
      await say(match, key, content);
      await settle(match, true);
      return 'bindFailed';
    },
  };
}
