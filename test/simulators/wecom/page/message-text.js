// Chat page: how texts, times and message types are shown. Pure: runs in the browser and in Node alike.

/**
 * A text in pieces: plain text and fenced code blocks, in order, nothing lost. A fence that is never
 * closed makes the rest code.
 * @param {string} text
 * @returns {{ kind: 'text' | 'code', text: string, language: string }[]}
 */
export function splitFences(text) {
  const segments = [];
  let lines = [];
  let language = null;
  const flush = () => {
    const joined = lines.join('\n');
    if (language !== null) segments.push({ kind: 'code', text: joined, language });
    else if (joined.trim() !== '')
      segments.push({ kind: 'text', text: joined.replace(/^\n+|\n+$/g, ''), language: '' });
    lines = [];
  };
  for (const line of text.split('\n')) {
    const fence = /^\s*```\s*([^`\s]*)\s*$/.exec(line);
    if (fence === null) lines.push(line);
    else if (language === null) {
      flush();
      language = fence[1];
    } else {
      flush();
      language = null;
    }
  }
  if (language !== null && lines.length === 0) language = null;
  flush();
  return segments;
}

const LABELS = {
  voice: '[语音]',
  video: '[视频]',
  file: '[文件]',
  location: '[位置]',
  link: '[链接]',
  business_card: '[名片]',
  miniprogram: '[小程序]',
  msgmenu: '[菜单]',
  merged_msg: '[聊天记录]',
  channels: '[视频号]',
};

/**
 * What a bubble shows for a message of any type.
 * @returns {{ kind: 'text' | 'image' | 'other', text: string }}
 */
export function describeBody(msgtype, body) {
  if (msgtype === 'text') return { kind: 'text', text: String(body?.content ?? '') };
  if (msgtype === 'image') return { kind: 'image', text: '[图片]' };
  if (msgtype === 'msgmenu') return { kind: 'text', text: describeMenu(body) };
  return { kind: 'other', text: LABELS[msgtype] ?? `[${msgtype}]` };
}

function describeMenu(menu) {
  const entries = Array.isArray(menu?.list) ? menu.list : [];
  const lines = entries.map((entry) => `• ${entry?.[entry.type]?.content ?? ''}`);
  return [menu?.head_content, ...lines, menu?.tail_content].filter(Boolean).join('\n');
}

/** Epoch ms as hh:mm:ss, of the reader's own clock. */
export function clockTime(ms) {
  return new Date(ms).toLocaleTimeString('zh-CN', { hour12: false });
}

/** A duration for people: 0.18 秒, 12.3 秒, 3 分 20 秒. */
export function duration(ms) {
  if (ms < 10_000) return `${(Math.max(ms, 0) / 1000).toFixed(2)} 秒`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} 秒`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} 分 ${seconds % 60} 秒`;
  return `${Math.floor(seconds / 3600)} 小时 ${Math.floor((seconds % 3600) / 60)} 分`;
}

const REFUSALS = {
  [-1]: '系统繁忙',
  40001: '密钥错误',
  40014: '令牌无效',
  40058: '参数错误',
  40096: '用户不存在',
  42001: '令牌过期',
  44004: '文本为空',
  45009: '调用太频繁',
  95001: '五条额度已用完',
  95002: '超过 48 小时',
  95013: '会话已结束',
  95018: '会话状态不允许',
  95033: 'msgid 重复',
};

export function refusalText(errcode) {
  return REFUSALS[errcode] ?? '接口报错';
}

const FAILURES = {
  0: '原因不明',
  1: '账号已删除',
  2: '应用已停用',
  4: '超过 48 小时',
  5: '会话已关闭',
  6: '超过五条',
  8: '主体未认证',
  10: '用户拒收',
  11: '企业成员未登录',
  12: '类型被禁用',
  13: '安全限制',
};

export function failureText(failType) {
  return FAILURES[failType] ?? `类型 ${failType}`;
}
