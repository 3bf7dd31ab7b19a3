// Who may spend what is left of WeCom's allowance: answers first, whatever their place in the order.
import type { StoredPart } from '@pipeline/store';
import { render } from '@pipeline/texts';
import { MAX_PART_BYTES } from '../text/split-text.ts';
import { resplit } from '../text/text-parts.ts';
import type { LedgerSettings, QueuedText } from './ledger-state.ts';

/** `send-last`: the last affordable send, with more waiting or expected behind it, which it must say. */
export type Affordable = 'send' | 'send-last' | 'wait' | 'unaffordable';

/**
 * Judges the head of the queue.
 * @param around.behind what stands behind it
 * @param around.expected answers still to come, that don't stand in the queue yet
 * @param around.remaining sends left now
 */
export function affordable(
  head: QueuedText,
  { behind, expected, remaining }: { behind: readonly QueuedText[]; expected: number; remaining: number },
  settings: LedgerSettings,
): Affordable {
  const isAnswer = head.kind === 'answer';
  if (remaining === 0) return isAnswer ? 'wait' : 'unaffordable';
  const answersBehind = behind.filter(({ kind }) => kind === 'answer');
  const partsBehind = answersBehind.reduce((sum, text) => sum + text.parts - text.next, 0);
  const mustLeave = {
    answer: 0,
    notice: partsBehind,
    courtesy: Math.max(partsBehind + expected, settings.reserve),
  };
  if (remaining - 1 < mustLeave[head.kind]) return 'unaffordable';
  const isMoreToCome = head.next + 1 < head.parts || partsBehind > 0 || expected > 0;
  return remaining === 1 && isMoreToCome ? 'send-last' : 'send';
}

const moreSuffix = `\n${render('more')}`;
const MAX_BYTES_BEFORE_MORE = MAX_PART_BYTES - Buffer.byteLength(moreSuffix);

/** What WeCom gets for a part: its exact bytes, `more` behind them if that is how the attempt was begun. */
export const sentContent = (content: string, withMore: boolean): string => (withMore ? content + moreSuffix : content);

export const hasRoomForMore = (content: string): boolean => Buffer.byteLength(content) <= MAX_BYTES_BEFORE_MORE;

/** The parts of a text with everything from `next` on split anew, so that `more` fits behind part `next`. */
export const makeRoomForMore = (source: string, parts: readonly StoredPart[], next: number): StoredPart[] =>
  resplit(source, parts, next, MAX_BYTES_BEFORE_MORE);
