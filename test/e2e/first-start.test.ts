// The first start for a KF account: what stood in it before is answered only if it is recent (docs/behaviour.md, section 1).
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { createDialogue, type Dialogue, metric } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const DAY_S = 86_400;
const unbound = render('unbound');
// Longer than the whole file takes: whatever is read without a restart is read because more was promised.
const env = { POLL_INTERVAL_ACTIVE_MS: '600000', POLL_INTERVAL_IDLE_MS: '600000', POLL_INTERVAL_ERROR_MS: '50' };
let pipeline: Pipeline;
let users: Dialogue;
let brokenPage: string;

beforeAll(async () => {
  const now = Math.floor(Date.now() / 1000);
  pipeline = await startPipeline({
    partitions: 4,
    env,
    wecomSettings: { maxPageItems: 2 },
    prepare({ control }) {
      const write = (externalUserId: string, ageS: number) =>
        control.sendMessage({ externalUserId, content: '你好', sendTime: now - ageS });
      write('wm-three-days', 3 * DAY_S - 600);
      write('wm-recent-1', 60);
      write('wm-hour', 3_600);
      write('wm-recent-2', 500);
      // Page 3 comes only after a restart.
      write('wm-eleven-minutes', 660);
      write('wm-recent-3', 30);
      write('wm-day', DAY_S);
      write('wm-recent-4', 10);
      for (const skip of [0, 2]) control.addFault({ api: 'sync_msg', skip, count: 1, action: { kind: 'emptyPage' } });
      brokenPage = control.addFault({ api: 'sync_msg', skip: 2, action: { kind: 'errcode', errcode: -1 } }).id;
    },
  });
  users = createDialogue(pipeline);
});
afterAll(() => pipeline?.stop());

const restartIngest = async (changes: Record<string, string> = {}) => {
  await pipeline.services.ingest.stop();
  await pipeline.services.ingest.start(changes);
  await pipeline.services.ingest.ready();
};
const tooOld = () => metric(pipeline.services.ingest.url, 'ingest_items_total', 'kind="too_old"');

test('pages are read at once as long as there is more, empty ones too, and messages over 10 min old aren’t answered', async () => {
  await users.hears('wm-recent-1', unbound);
  await users.hears('wm-recent-2', unbound);
  expect(await tooOld()).toBe(2);
});

test('nor are they on a later page, after a restart', async () => {
  await eventually('a refused page', () => (hitsOf(brokenPage) > 0 ? true : null), { withinMs: 30_000 });
  await pipeline.services.ingest.stop();
  pipeline.wecom.control.removeFaults();
  await pipeline.services.ingest.start();
  await users.hears('wm-recent-3', unbound);
  await users.hears('wm-recent-4', unbound);
  expect(await tooOld()).toBe(2);
  expect(pipeline.wecom.control.messages().map(({ returnedTimes }) => returnedTimes)).toEqual(Array(8).fill(1));
});

test('whatever is written after the first start is never too old, however late it is read', async () => {
  await pipeline.services.ingest.stop();
  users.say('wm-late', '还在吗');
  const { sendTime = 0 } = pipeline.wecom.control.messages({ user: 'wm-late' })[0] ?? {};
  await eventually('a second to pass', () => Date.now() > (sendTime + 2) * 1000);
  // With no allowance for age at all the first start itself is the limit, not this one.
  await pipeline.services.ingest.start({ INGEST_MAX_AGE_MS: '0' });
  await users.hears('wm-late', unbound);
});

test('nobody else was answered, also not after another restart', async () => {
  await pipeline.services.ingest.stop();
  users.say('wm-last', '最后');
  await restartIngest();
  await users.hears('wm-last', unbound);
  const written = ['wm-recent-1', 'wm-recent-2', 'wm-recent-3', 'wm-recent-4', 'wm-late', 'wm-last'];
  const answered = pipeline.wecom.control.sent().map(({ externalUserId }) => externalUserId);
  expect(answered.toSorted()).toEqual(written.toSorted());
  users.expectNothingElse();
});

function hitsOf(id: string): number {
  return pipeline.wecom.control.faults().find((fault) => fault.id === id)?.hits ?? 0;
}
