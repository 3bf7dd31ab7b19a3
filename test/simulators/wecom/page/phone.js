// Chat page: one phone: its messages, its allowance and what its user can do.
import { clockTime, duration, failureText, refusalText, splitFences } from './message-text.js';

/** Neighbours differ: colours are given in the order in which phones are opened. */
const AVATAR_HUES = [212, 340, 168, 28, 268, 190, 48, 310];
let hues = 0;
const DIVIDER_MS = 3 * 60_000;
const STUCK_PX = 80;

/** What the ＋ drawer offers: prompts the demo bridge understands, and an image. */
const TILES = [
  { icon: 'i-image', label: '图片', act: (user) => user.sendImage() },
  { icon: 'i-text', label: '要长文', act: (user) => user.sendText('长文') },
  { icon: 'i-code', label: '要代码', act: (user) => user.sendText('代码') },
  { icon: 'i-next', label: '继续', act: (user) => user.sendText('继续') },
  { icon: 'i-clock', label: '慢任务', act: (user) => user.sendText('慢 10') },
  { icon: 'i-bolt', label: '让它出错', act: (user) => user.sendText('!error disconnected') },
  { icon: 'i-burst', label: '连发 8 条', act: (user) => user.sendBurst(8) },
];
const BIND_TILE = { icon: 'i-link', label: '绑定小龙虾', act: (user) => user.bind() };

/**
 * A phone in the page. `actions` are what its user does: sendText, sendImage, sendBurst, bind (absent when
 * there is no binder) and close.
 */
export function createPhone(chat, accountName, actions) {
  const template = document.querySelector('#phone-template');
  const root = template.content.firstElementChild.cloneNode(true);
  const find = (selector) => root.querySelector(selector);
  const list = find('.messages');
  const input = find('textarea');
  const more = find('.more');
  const drawer = find('.drawer');
  const below = find('.new-below');
  const elements = new Map();
  let lastAt = null;
  let shownNotice = null;
  let drawnEntries = 0;

  root.style.setProperty('--hue', AVATAR_HUES[hues++ % AVATAR_HUES.length]);
  root.dataset.user = chat.externalUserId;
  find('.owner-id').textContent = chat.externalUserId;
  find('.kf-name').textContent = accountName;
  list.setAttribute('aria-label', `${chat.nickname}与客服的聊天记录`);
  input.setAttribute('aria-label', `以${chat.nickname}的身份发消息`);
  more.setAttribute('aria-label', `${chat.nickname}的更多操作`);
  find('.close').setAttribute('aria-label', `收起${chat.nickname}的手机`);
  find('.close').addEventListener('click', actions.close);
  root.setAttribute('aria-label', `${chat.nickname}的手机`);

  const submit = () => {
    const text = input.value;
    if (text.trim() === '') return;
    input.value = '';
    fitInput();
    actions.sendText(text);
  };
  const fitInput = () => {
    input.style.height = 'auto';
    input.style.height = `${Math.min(input.scrollHeight, 112)}px`;
    root.classList.toggle('has-text', input.value.trim() !== '');
  };
  input.addEventListener('input', fitInput);
  input.addEventListener('keydown', (event) => {
    // Enter while an input method is composing picks a word; it must not send.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  find('.composer').addEventListener('submit', (event) => {
    event.preventDefault();
    submit();
  });
  more.addEventListener('click', () => {
    drawer.hidden = !drawer.hidden;
    more.setAttribute('aria-expanded', String(!drawer.hidden));
    scrollDown();
  });
  for (const tile of actions.bind === undefined ? TILES : [...TILES, BIND_TILE]) {
    const button = element('button', 'tile');
    button.type = 'button';
    const face = element('span', 'tile-icon');
    face.append(icon(tile.icon));
    button.append(face, element('span', 'tile-label', tile.label));
    button.addEventListener('click', () => tile.act(actions));
    drawer.append(button);
  }

  const isAtEnd = () => list.scrollHeight - list.scrollTop - list.clientHeight < STUCK_PX;
  function scrollDown() {
    list.scrollTop = list.scrollHeight;
    below.hidden = true;
  }
  below.addEventListener('click', scrollDown);
  list.addEventListener('scroll', () => {
    if (isAtEnd()) below.hidden = true;
  });

  /** Draws what is new or changed in the chat. */
  function update() {
    const follows = isAtEnd();
    find('.owner-name').textContent = chat.nickname;
    find('.avatar').textContent = initialOf(chat.nickname);
    find('.phone-time').textContent = clockTime(Date.now()).slice(0, 5);
    drawAllowance(find('.allowance'), chat);
    list.querySelector('.empty')?.remove();
    for (const entry of chat.entries) {
      const state = stateOf(entry);
      const known = elements.get(entry.key);
      if (known?.state === state) continue;
      const drawn = drawEntry(entry, chat);
      if (known === undefined) {
        if (lastAt === null || entry.at - lastAt > DIVIDER_MS) {
          list.append(element('p', 'divider', clockTime(entry.at).slice(0, 5)));
        }
        lastAt = entry.at;
        list.append(drawn);
      } else {
        drawn.classList.remove('is-new');
        known.drawn.replaceWith(drawn);
      }
      elements.set(entry.key, { drawn, state });
    }
    if (chat.entries.length === 0) list.append(drawEmpty(chat, actions));
    if (follows) scrollDown();
    else if (chat.entries.length > drawnEntries) below.hidden = false;
    drawnEntries = chat.entries.length;
  }

  /** A line of the page itself between the messages, for what went wrong in sending. */
  function notice(text) {
    shownNotice?.remove();
    shownNotice = element('p', 'notice', text);
    list.append(shownNotice);
    scrollDown();
  }

  update();
  return { root, update, notice, focus: () => input.focus(), scrollDown };
}

function stateOf(entry) {
  return `${entry.pulledAt ?? ''}|${entry.failType ?? ''}|${entry.count ?? ''}`;
}

function drawEntry(entry, chat) {
  if (entry.from === 'refused') return drawRefused(entry);
  const row = element('div', `row from-${entry.from} is-new`);
  row.dataset.key = entry.key;
  const avatar = element('span', 'avatar', entry.from === 'user' ? initialOf(chat.nickname) : '虾');
  avatar.setAttribute('aria-hidden', 'true');
  const column = element('div', 'column');
  column.append(drawBubble(entry), drawMeta(entry));
  row.append(avatar, column);
  return row;
}

function drawBubble(entry) {
  if (entry.kind === 'image') {
    const picture = element('div', 'bubble picture');
    picture.setAttribute('role', 'img');
    picture.setAttribute('aria-label', '图片消息');
    picture.append(icon('i-image'));
    return picture;
  }
  const bubble = element('div', 'bubble');
  if (entry.kind === 'other') bubble.classList.add('other');
  for (const segment of splitFences(entry.text)) {
    if (segment.kind === 'text') {
      bubble.append(element('p', 'text', segment.text));
      continue;
    }
    const block = element('div', 'code');
    if (segment.language !== '') block.append(element('span', 'language', segment.language));
    const pre = element('pre', '');
    pre.append(element('code', '', segment.text));
    block.append(pre);
    bubble.classList.add('has-code');
    bubble.append(block);
  }
  return bubble;
}

function drawMeta(entry) {
  const meta = element('p', 'meta');
  const add = (text, className = '', title = '') => {
    const part = element('span', className, text);
    if (title !== '') part.title = title;
    meta.append(part);
  };
  add(clockTime(entry.at));
  if (entry.from === 'user') {
    if (entry.pulledAt === null) add('✓ 已发送', 'state-sent', '消息已到微信，还没有被 sync_msg 拉取');
    else add(`✓✓ 已拉取 ${duration(entry.pulledAt - entry.at)}`, 'state-pulled', '从发出到被 sync_msg 拉取的时间');
    return meta;
  }
  if (entry.waitedMs !== null) add(`+${duration(entry.waitedMs)}`, '', '距用户上一条消息');
  if (entry.truncated)
    add(`截断：原文 ${entry.originalBytes} 字节`, 'badge warn', '超过 2048 字节，微信悄悄切掉了后面的部分');
  if (entry.failType !== null)
    add(`未送达：${failureText(entry.failType)}`, 'badge bad', `msg_send_fail，fail_type ${entry.failType}`);
  return meta;
}

function drawRefused(entry) {
  const row = element('details', 'refused');
  row.dataset.key = entry.key;
  const summary = element('summary', '', `拒收 ${entry.errcode} · ${refusalText(entry.errcode)}`);
  if (entry.count > 1) summary.append(element('span', 'badge bad', `×${entry.count}`));
  if (entry.byFault) summary.append(element('span', 'badge', '故障'));
  row.append(summary, element('p', 'text', entry.text), element('p', 'meta', `${clockTime(entry.at)} ${entry.errmsg}`));
  return row;
}

function drawAllowance(strip, chat) {
  const { allowance, remaining, lastWrittenAt } = chat;
  const isOpen = lastWrittenAt !== null;
  const words = isOpen ? `客服还能发 ${remaining} 条` : `用户先开口，客服才能发 ${allowance} 条`;
  strip.querySelector('.allowance-text').textContent = words;
  strip.setAttribute('aria-label', isOpen ? `客服还能发 ${remaining} 条，共 ${allowance} 条` : words);
  strip.title = '用户每发一条消息，客服在 48 小时内能发的条数';
  strip.classList.toggle('is-spent', isOpen && remaining === 0);
  const dots = Array.from({ length: Math.min(allowance, 12) }, (_, index) =>
    element('i', index < remaining ? 'dot' : 'dot is-used'),
  );
  strip.querySelector('.dots').replaceChildren(...dots);
}

function drawEmpty(chat, actions) {
  const empty = element('div', 'empty');
  empty.append(element('p', 'empty-title', `${chat.nickname}还没有发过消息`));
  const choices = [
    ['打个招呼', () => actions.sendText('你好，在吗？')],
    ...(actions.bind === undefined ? [] : [['一键绑定小龙虾', actions.bind]]),
  ];
  for (const [label, act] of choices) {
    const button = element('button', 'chip', label);
    button.type = 'button';
    button.addEventListener('click', act);
    empty.append(button);
  }
  return empty;
}

/** Text only ever becomes a text node: nothing a user or an agent writes is read as HTML. */
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className !== '') made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function icon(id) {
  const namespace = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(namespace, 'svg');
  svg.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(namespace, 'use');
  use.setAttribute('href', `#${id}`);
  svg.append(use);
  return svg;
}

function initialOf(nickname) {
  const characters = [...nickname];
  return /^[小阿]/.test(nickname) && characters.length > 1 ? characters[1] : (characters[0] ?? '?');
}
