// What can't be delivered or handled is kept, told of by `npm run dlq`, and goes its way once somebody has mended the cause.
import { execFile } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { exchanges, userKeyOf } from '@pipeline/contracts';
import { connect } from 'amqplib';
import { metric } from '../support/dialogue.ts';
import { eventually } from '../support/eventually.ts';
import { type Pipeline, startPipeline } from '../support/pipeline.ts';
import { ROOT } from '../support/service-process.ts';

const USER = 'wm-user';
let pipeline: Pipeline;

beforeAll(async () => {
  pipeline = await startPipeline({ partitions: 4 });
  await pipeline.bind(USER);
}, 120_000);
afterAll(() => pipeline?.stop(), 30_000);

/** The command line tool on the running system. */
const dlq = (...args: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const { amqpUrl, mongoUri } = pipeline.servers;
    const env = { ...process.env, RABBITMQ_URL: amqpUrl, MONGODB_URI: mongoUri };
    execFile(process.execPath, ['deploy/bootstrap.mjs', 'dlq', ...args], { cwd: ROOT, env }, (error, out, err) =>
      resolve({ code: error ? Number(error.code) : 0, out, err }),
    );
  });
/** Waits until a letter is listed. @returns the whole list */
async function lists(service: 'router' | 'sender', id: string): Promise<string> {
  // The tool takes a second each time, so it is asked when there is something to tell.
  await eventually('a letter', async () => (await metric(pipeline.services[service].url, 'dead_letters')) > 0);
  return eventually(`${id} is listed`, async () => {
    const { code, out } = await dlq('list');
    expect(code).toBe(0);
    return out.includes(`${service}:${id}  `) ? out : null;
  });
}

test('an answer that WeCom refuses for good is told of without its words, and heard after its replay', async () => {
  const { control } = pipeline.wecom;
  control.addFault({ api: 'send_msg', user: USER, action: { kind: 'errcode', errcode: 40201 } });
  const msgId = pipeline.say(USER, '秘密的问题');
  const id = `sender:${msgId}:answer#0`;
  const listed = await lists('sender', `${msgId}:answer#0`);
  expect(listed).toMatch(/wecom-40201 {2}attempts 1 {2}replays 0 {2}waiting/);
  expect(listed).not.toContain('秘密');
  const [shown, withBody] = await Promise.all([dlq('show', id), dlq('show', id, '--body')]);
  expect(JSON.parse(shown.out)).toMatchObject({
    service: 'sender',
    state: 'waiting',
    origin: {
      type: 'text',
      correlationId: msgId,
      userKey: userKeyOf({ openKfId: pipeline.wecom.openKfId, externalUserId: USER }),
    },
  });
  expect(shown.out).not.toContain('秘密');
  expect(withBody.out).toContain('秘密的问题');

  control.removeFaults();
  expect(await dlq('replay', id)).toMatchObject({ code: 0, out: `${id}: replayed\n` });
  expect(await dlq('replay', id)).toMatchObject({ code: 1, err: expect.stringContaining('it is replayed') });
  await pipeline.hears(USER, /秘密的问题/, 30_000);
  expect(pipeline.heard(USER).filter((text) => text.includes('秘密的问题'))).toHaveLength(1);
}, 120_000);

test('what RabbitMQ itself gave up is drained by the service it was for, and handled after its replay', async () => {
  const connection = await connect(pipeline.servers.amqpUrl);
  const channel = await connection.createConfirmChannel();
  const userKey = userKeyOf({ openKfId: pipeline.wecom.openKfId, externalUserId: USER });
  const now = Date.now();
  const item = { sendTime: Math.floor(now / 1000), receivedAt: now, msgtype: 'text', decidedBy: null, match: null };
  channel.publish(
    exchanges.deadLetters,
    'router.dead',
    Buffer.from(JSON.stringify({ ...item, msgId: 'given-up', text: '被放弃的' })),
    {
      type: 'customer.item',
      messageId: 'given-up',
      correlationId: 'given-up',
      headers: {
        'x-first-death-reason': 'delivery_limit',
        'x-death': [
          {
            count: 1,
            reason: 'delivery_limit',
            queue: 'router.mailbox.00',
            exchange: 'router.mailboxes',
            'routing-keys': [userKey],
          },
        ],
      },
    },
  );
  await channel.waitForConfirms();
  expect(await lists('router', 'given-up')).toContain('broker-delivery-limit');
  expect((await dlq('replay', '--all', '--service', 'router')).code).toBe(0);
  await pipeline.hears(USER, /被放弃的/, 30_000);
  expect((await channel.checkQueue('router.dead')).messageCount).toBe(0);
  await connection.close();
}, 120_000);

test('a letter can be dropped, and mistakes are told', async () => {
  const { out } = await dlq('list', '--service', 'sender');
  const [id = ''] = out.split('  ');
  expect(id).toMatch(/^sender:/); // "thinking", refused with the answer
  expect(await dlq('drop', id)).toMatchObject({ code: 0 });
  const [dropped, again, nobody] = await Promise.all([
    dlq('list', '--state', 'dropped'),
    dlq('drop', id),
    dlq('show', 'router:nobody'),
  ]);
  expect(dropped.out).toContain(id);
  expect(again).toMatchObject({ code: 1, err: expect.stringContaining('dropped') });
  expect(nobody).toMatchObject({ code: 1, err: expect.stringContaining('router:nobody') });
  const wrong = [[], ['undo'], ['replay'], ['list', '--all'], ['drop', 'a', 'b'], ['list', '--service', 'x']];
  const told = await Promise.all(wrong.map((args) => dlq(...args)));
  const usage = { code: 2, err: expect.stringContaining('npm run dlq -- replay ID') };
  expect(told).toMatchObject(wrong.map(() => usage));
}, 120_000);
