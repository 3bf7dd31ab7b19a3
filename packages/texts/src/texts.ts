// Every sentence a WeChat user can read from us, by name. `{…}` is filled in by `render`.

export const texts = {
  unsupported: '我目前只能处理文字消息~\n图片、语音请转换成文字后再发给我。',
  codeExpired: '验证码已过期,请重新在 IT0 App 中生成新的验证码。',
  rateLimited: '消息频率过高,请稍后再试(每分钟最多{limit}条)。',
  queueFull: '消息太多了,请稍后再说~(当前排队已满,最多{depth}条)',
  queued: '📋 消息已收到,前面还有 {N} 条在处理,请稍候~',
  instanceMissing: '绑定失败:智能体实例不存在,请重新操作。',
  bound: '✅ 绑定成功!\n\n你的小龙虾「{name}」已与微信客服绑定。\n\n现在直接发消息给我,我会帮你转达给它!',
  bindFailed: '绑定时出现错误,请稍后重试。',
  unbound:
    '👋 你还没有绑定专属小龙虾。\n\n步骤:\n1. 打开 IT0 App\n2. 创建或选择一只小龙虾\n3. 点击「绑定微信」获取验证码\n4. 把验证码发给我就好了~',
  stopped: '💤 小龙虾「{name}」正在休息,请在 IT0 App 中点击启动后再来找我~',
  starting: '⏳ 小龙虾「{name}」还在启动中,请等待约1分钟后重试。',
  error: '⚠️ 小龙虾「{name}」遇到了问题,请在 IT0 App 中检查状态。',
  otherStatus: '小龙虾「{name}」当前无法接收指令({status}),请在 IT0 App 中处理。',
  noHost: '小龙虾配置异常(缺少服务器地址),请联系管理员。',
  thinking: '🤔 小虾米正在思考,稍等~',
  stillThinking: '⏳ 还在努力想呢,这个任务有点复杂,请再等一下~',
  bridgeRestarting: '🔄 小虾米正在重启,请等待约30秒后重试。',
  bridgeRefused: '小虾米遇到了问题,请稍后重试。',
  timeout:
    '⏱️ 这个任务花的时间太长了,小虾米超时了。\n\n建议:\n• 把任务拆成更小的步骤\n• 简化指令后重试\n• 如果问题复杂,可以分多轮来说',
  disconnected: '🔄 「{name}」与服务的连接中断了,请等待约30秒后重试。',
  aborted: '⚠️ 任务被中止了,请重新发送。',
  shuttingDown: '🔄 服务正在重启,请稍后重试。',
  failed: '😰 小虾米遇到了点问题,请稍后重试。如果持续出现,请联系管理员。',
  emptyReply: '(空响应)',
  more: '(内容较长,回复“继续”查看剩余部分)',
  lateReply: '(之前问题的回复)\n{content}',
} as const;

export type TextKey = keyof typeof texts;

type Placeholder<Text extends string> = Text extends `${string}{${infer Name}}${infer Tail}`
  ? Name | Placeholder<Tail>
  : never;

/** What the text `K` wants filled in: `{ name }`, `{ name, status }`, … or nothing at all. */
export type TextParams<K extends TextKey> = Readonly<Record<Placeholder<(typeof texts)[K]>, string | number>>;

type RenderArguments<K extends TextKey> = [Placeholder<(typeof texts)[K]>] extends [never]
  ? [params?: Readonly<Record<string, never>>]
  : [params: TextParams<K>];

/**
 * The text of that name with its values in place. Values are put in as they are, once: braces inside a
 * user's instance name or an agent's answer stay what they are.
 */
export function render<K extends TextKey>(key: K, ...[params]: RenderArguments<K>): string {
  const values = (params ?? {}) as Readonly<Record<string, string | number>>;
  return texts[key].replace(/\{(\w+)\}/g, (placeholder, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : placeholder,
  );
}
