// One story: bind with a code, ask, get the answer.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { render } from '@pipeline/texts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await startPipeline();
}, 120_000);
afterAll(() => pipeline.stop(), 30_000);

test('a user binds with a code, asks, and gets thinking and the answer, once each and in this order', async () => {
  const code = await pipeline.addInstance('lobster', { name: '阿虾' });
  pipeline.say('wm-anna', ` ${code.toLowerCase()} `);
  await pipeline.hears('wm-anna', render('bound', { name: '阿虾' }));

  const msgid = pipeline.say('wm-anna', '  今天天气怎么样?  ');
  await pipeline.hears('wm-anna', /今天天气怎么样/);

  expect(pipeline.heard('wm-anna')).toEqual([
    render('bound', { name: '阿虾' }),
    render('thinking'),
    expect.stringContaining('今天天气怎么样?'),
  ]);
  expect(pipeline.bridge.control.violations()).toEqual([]);
  expect(pipeline.bridge.control.task(msgid)).toMatchObject({ prompt: '今天天气怎么样?', posts: 1 });
}, 120_000);
