// Which items of sync_msg count, and that each counts once (docs/behaviour.md, section 1).
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { answerTo, createDialogue, type Dialogue, metric } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

jest.setTimeout(60_000);
const thinking = render('thinking');
let pipeline: Pipeline;
let users: Dialogue;
beforeAll(async () => {
  // Here nothing is about the allowance: there is enough for everything.
  const env = { SEND_ALLOWANCE: '100', POLL_INTERVAL_ERROR_MAX_MS: '200' };
  pipeline = await startPipeline({ partitions: 4, env, wecomSettings: { maxPageItems: 40, allowance: 100 } });
  users = createDialogue(pipeline);
});
afterAll(() => pipeline?.stop());

const customerItem = (fields: Record<string, unknown>) => ({
  raw: { send_time: Math.floor(Date.now() / 1000), origin: 3, msgtype: 'text', text: { content: '你好' }, ...fields },
});
const itemsCounted = (kind: string, type: string) =>
  metric(pipeline.services.ingest.url, 'ingest_items_total', `kind="${kind}"`, `type="${type}"`);

describe('an item', () => {
  test('of the system or of a human servicer is counted by its type and reaches no agent', async () => {
    const user = 'wm-events';
    await users.bind(user);
    const { control } = pipeline.wecom;
    const event = (fields: Record<string, unknown>) =>
      customerItem({ origin: 4, msgtype: 'event', text: undefined, event: { external_userid: user, ...fields } });
    control.enterSession({ externalUserId: user });
    control.sendMessages([
      customerItem({ ...event({ event_type: 'user_recall_msg' }).raw, msgid: 'event-1' }),
      customerItem({ ...event({ event_type: 'invented_tomorrow' }).raw, msgid: 'event-2' }),
      customerItem({ ...event({}).raw, msgid: 'event-3' }),
      customerItem({ msgid: 'servicer-1', origin: 5, external_userid: user, text: { content: '我来帮您' } }),
      customerItem({ msgid: 'servicer-2', origin: 5, external_userid: user, msgtype: 'image', text: undefined }),
    ]);
    users.say(user, '问题');
    await users.hears(user, thinking, answerTo('问题'));
    for (const type of ['enter_session', 'user_recall_msg', 'invented_tomorrow', 'event'])
      expect([type, await itemsCounted('event', type)]).toEqual([type, 1]);
    for (const type of ['text', 'image']) expect([type, await itemsCounted('servicer', type)]).toEqual([type, 1]);
    expect(pipeline.bridge.control.tasks({ user }).map(({ prompt }) => prompt)).toEqual(['问题']);
    const logged = pipeline.services.ingest.logs().filter((line) => line.includes('item.recorded'));
    for (const msgid of ['event-1', 'event-2', 'event-3', 'servicer-1', 'servicer-2'])
      expect(logged.filter((line) => line.includes(`"${msgid}"`))).toHaveLength(1);
  });

  test('that is malformed is counted and logged, and the page around it goes on', async () => {
    const user = 'wm-malformed';
    await users.bind(user);
    const deep = JSON.parse(`${'['.repeat(500)}${']'.repeat(500)}`);
    pipeline.wecom.control.sendMessages([
      { externalUserId: user, content: '前' },
      customerItem({ external_userid: user }),
      customerItem({ msgid: '', external_userid: user }),
      customerItem({ msgid: 42, external_userid: user }),
      customerItem({ msgid: 'no-user' }),
      customerItem({ msgid: 'empty-user', external_userid: '' }),
      customerItem({ msgid: 'odd-user', external_userid: { $ne: null } }),
      customerItem({ msgid: 'odd-origin', external_userid: user, origin: 17 }),
      customerItem({ msgid: 'elsewhere', external_userid: user, open_kfid: 'wk-other' }),
      customerItem({ msgid: 'event-0', origin: 4, event: deep }),
      { raw: {} },
      { raw: 'text' as never },
      { externalUserId: user, content: '后' },
    ]);
    await users.hears(user, thinking, render('queued', { N: 1 }), answerTo('前'), thinking, answerTo('后'));
    expect(await itemsCounted('malformed', 'no msgid')).toBe(4);
    expect(await itemsCounted('malformed', 'customer item without external_userid')).toBe(3);
    expect(await itemsCounted('malformed', 'unknown origin')).toBe(1);
    expect(await itemsCounted('malformed', 'of another account')).toBe(1);
    expect(await itemsCounted('malformed', 'not an object')).toBe(1);
    const logged = pipeline.services.ingest.logs().filter((line) => line.includes('"kind":"malformed"'));
    expect(logged).toHaveLength(10);
    expect(pipeline.services.ingest.isRunning()).toBe(true);
  });

  test('of a customer with odd fields is answered all the same', async () => {
    const user = 'wm-odd';
    await users.bind(user);
    const now = String(Math.floor(Date.now() / 1000));
    const oddities = [{ send_time: undefined }, { send_time: 'noon' }, { send_time: now }];
    for (const [index, fields] of oddities.entries()) {
      const text = { content: `怪 ${index}` };
      pipeline.wecom.control.sendMessage(
        customerItem({ msgid: `odd-${index}`, external_userid: user, text, ...fields }),
      );
      await users.hears(user, thinking, answerTo(`怪 ${index}`));
    }
  });
});

describe('a message is acted on once', () => {
  test('though WeCom hands it out again with every page', async () => {
    const user = 'wm-replayed';
    await users.bind(user);
    const fault = pipeline.wecom.control.addFault({ api: 'sync_msg', action: { kind: 'replay', items: 10 } });
    const words = ['一', '二', '三'];
    for (const word of words) {
      users.say(user, word);
      await users.hears(user, thinking, answerTo(word));
    }
    pipeline.wecom.control.removeFaults(fault.id);
    users.say(user, '完');
    await users.hears(user, thinking, answerTo('完'));
    const returned = pipeline.wecom.control.messages({ user }).map(({ returnedTimes }) => returnedTimes);
    expect(returned.slice(1, -1).every((times) => times > 1)).toBe(true);
    expect(pipeline.bridge.control.tasks({ user }).map(({ prompt }) => prompt)).toEqual([...words, '完']);
  });

  test('though it stands in the log twice, even while it runs', async () => {
    const user = 'wm-doubled';
    await users.bind(user);
    const busy = await users.keepBusy(user);
    const twice = { externalUserId: user, content: '只要一次', msgid: 'doubled-1' };
    pipeline.wecom.control.sendMessages([twice, twice, { ...twice, msgid: busy, content: '!never' }]);
    await users.hears(user, render('queued', { N: 1 }));
    await users.callBack(busy, { content: '好' });
    await users.hears(user, '好', thinking, answerTo('只要一次'));
    pipeline.wecom.control.sendMessages([twice, { externalUserId: user, content: '完' }]);
    await users.hears(user, thinking, answerTo('完'));
  });
});

describe('the cursor', () => {
  test('survives a restart of ingest: nothing is read again, nothing written meanwhile is missed', async () => {
    const user = 'wm-restart';
    await users.bind(user);
    users.say(user, '之前');
    await users.hears(user, thinking, answerTo('之前'));
    // Not between a page and its cursor: that page would rightly be read again.
    await eventually('an idle poll', async () => {
      const before = pipeline.wecom.control.calls().sync_msg?.total ?? 0;
      return eventually('two polls', () => (pipeline.wecom.control.calls().sync_msg?.total ?? 0) > before + 1);
    });
    await pipeline.services.ingest.stop();
    users.say(user, '其间');
    await pipeline.services.ingest.start();
    await pipeline.services.ingest.ready();
    users.say(user, '之后');
    await eventually('both answers', () => pipeline.heard(user).at(-1)?.includes('之后'), { withinMs: 30_000 });
    users.takesNote(user);
    expect(pipeline.bridge.control.tasks({ user }).map(({ prompt }) => prompt)).toEqual(['之前', '其间', '之后']);
    expect(pipeline.wecom.control.messages({ user }).map(({ returnedTimes }) => returnedTimes)).toEqual([1, 1, 1, 1]);
  });

  test('moves on over pages that are full, short, spoilt or refused', async () => {
    const user = 'wm-pages';
    await users.bind(user);
    const { control } = pipeline.wecom;
    control.changeSettings({ maxPageItems: 2 });
    for (const action of [
      { kind: 'emptyPage' },
      { kind: 'shortPage', maxItems: 1 },
      { kind: 'cut' },
      { kind: 'notJson' },
      { kind: 'status', status: 502 },
      { kind: 'errcode', errcode: -1 },
      { kind: 'emptyPage' },
    ] as const)
      control.addFault({ api: 'sync_msg', count: 1, action });
    const words = ['一', '二', '三', '四', '五'];
    users.sayAtOnce(user, ...words);
    await eventually('all answers', () => pipeline.heard(user).at(-1)?.includes('「五」'), { withinMs: 30_000 });
    users.takesNote(user);
    expect(pipeline.bridge.control.tasks({ user }).map(({ prompt }) => prompt)).toEqual(words);
    expect(control.faults().map(({ hits }) => hits)).toEqual(Array(7).fill(1));
    control.removeFaults();
  });
});

test('nobody got anything else', () => users.expectNothingElse());
