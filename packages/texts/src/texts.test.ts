import { Buffer } from 'node:buffer';
import { expect, test } from '@jest/globals';
import { render, type TextKey, texts } from './index.ts';

// Written out a second time, as they must reach the user: a change of one byte in the catalogue fails here.
const asSent: ReadonlyArray<readonly [TextKey, () => string, string]> = [
  ['unsupported', () => render('unsupported'), '我目前只能处理文字消息~\n图片、语音请转换成文字后再发给我。'],
  ['codeExpired', () => render('codeExpired'), '验证码已过期,请重新在 IT0 App 中生成新的验证码。'],
  ['rateLimited', () => render('rateLimited', { limit: 10 }), '消息频率过高,请稍后再试(每分钟最多10条)。'],
  ['queueFull', () => render('queueFull', { depth: 5 }), '消息太多了,请稍后再说~(当前排队已满,最多5条)'],
  ['queued', () => render('queued', { N: 3 }), '📋 消息已收到,前面还有 3 条在处理,请稍候~'],
  ['instanceMissing', () => render('instanceMissing'), '绑定失败:智能体实例不存在,请重新操作。'],
  [
    'bound',
    () => render('bound', { name: '阿虾' }),
    '✅ 绑定成功!\n\n你的小龙虾「阿虾」已与微信客服绑定。\n\n现在直接发消息给我,我会帮你转达给它!',
  ],
  ['bindFailed', () => render('bindFailed'), '绑定时出现错误,请稍后重试。'],
  [
    'unbound',
    () => render('unbound'),
    '👋 你还没有绑定专属小龙虾。\n\n步骤:\n1. 打开 IT0 App\n2. 创建或选择一只小龙虾\n3. 点击「绑定微信」获取验证码\n4. 把验证码发给我就好了~',
  ],
  [
    'stopped',
    () => render('stopped', { name: '阿虾' }),
    '💤 小龙虾「阿虾」正在休息,请在 IT0 App 中点击启动后再来找我~',
  ],
  ['starting', () => render('starting', { name: '阿虾' }), '⏳ 小龙虾「阿虾」还在启动中,请等待约1分钟后重试。'],
  ['error', () => render('error', { name: '阿虾' }), '⚠️ 小龙虾「阿虾」遇到了问题,请在 IT0 App 中检查状态。'],
  [
    'otherStatus',
    () => render('otherStatus', { name: '阿虾', status: 'paused' }),
    '小龙虾「阿虾」当前无法接收指令(paused),请在 IT0 App 中处理。',
  ],
  ['noHost', () => render('noHost'), '小龙虾配置异常(缺少服务器地址),请联系管理员。'],
  ['thinking', () => render('thinking'), '🤔 小虾米正在思考,稍等~'],
  ['stillThinking', () => render('stillThinking'), '⏳ 还在努力想呢,这个任务有点复杂,请再等一下~'],
  ['bridgeRestarting', () => render('bridgeRestarting'), '🔄 小虾米正在重启,请等待约30秒后重试。'],
  ['bridgeRefused', () => render('bridgeRefused'), '小虾米遇到了问题,请稍后重试。'],
  [
    'timeout',
    () => render('timeout'),
    '⏱️ 这个任务花的时间太长了,小虾米超时了。\n\n建议:\n• 把任务拆成更小的步骤\n• 简化指令后重试\n• 如果问题复杂,可以分多轮来说',
  ],
  [
    'disconnected',
    () => render('disconnected', { name: '阿虾' }),
    '🔄 「阿虾」与服务的连接中断了,请等待约30秒后重试。',
  ],
  ['aborted', () => render('aborted'), '⚠️ 任务被中止了,请重新发送。'],
  ['shuttingDown', () => render('shuttingDown'), '🔄 服务正在重启,请稍后重试。'],
  ['failed', () => render('failed'), '😰 小虾米遇到了点问题,请稍后重试。如果持续出现,请联系管理员。'],
  ['emptyReply', () => render('emptyReply'), '(空响应)'],
  ['more', () => render('more'), '(内容较长,回复“继续”查看剩余部分)'],
  ['lateReply', () => render('lateReply', { content: '答案' }), '(之前问题的回复)\n答案'],
];

test.each(asSent)('%s reads exactly as agreed', (_key, rendered, expected) => {
  expect(Buffer.from(rendered())).toEqual(Buffer.from(expected));
});

test('every text of the catalogue is held by the list above', () => {
  expect(asSent.map(([key]) => key).sort()).toEqual(Object.keys(texts).sort());
});

test('numbers follow the settings', () => {
  expect(render('rateLimited', { limit: 25 })).toBe('消息频率过高,请稍后再试(每分钟最多25条)。');
  expect(render('queueFull', { depth: 8 })).toBe('消息太多了,请稍后再说~(当前排队已满,最多8条)');
});

test('values are put in once and as they are', () => {
  expect(render('otherStatus', { name: '{status} $& $1', status: '{name}' })).toBe(
    '小龙虾「{status} $& $1」当前无法接收指令({name}),请在 IT0 App 中处理。',
  );
  expect(render('lateReply', { content: '{content}\n{name}' })).toBe('(之前问题的回复)\n{content}\n{name}');
});
