// Chat page: several WeChat users side by side, live from the simulator's control API.
import { applyEvent, chatKey, closeChat, createModel, loadSnapshot, openChat } from './chat-model.js';
import { createPanel } from './panel.js';
import { createPhone } from './phone.js';

const NAMES = ['小明', '小红', '阿强', '小芳', '阿杰', '小雨', '老王', '小北', '阿May', '小川'];
const FIRST_PHONES = 3;
const AUTO_OPEN_MAX = 4;
const STORED = 'wecom-simulator-phones';
const EVENT_TYPES = ['customerMessage', 'pulled', 'sent', 'refused', 'sendFailed', 'session', 'reset', 'resync'];

const $ = (selector) => document.querySelector(selector);
const model = createModel();
const phones = new Map();
const dirty = new Set();
let accounts = [];
let allowance = 5;
let canBind = false;
let stream;

const panel = createPanel(request);

async function request(method, path, body) {
  const response = await fetch(`control${path}`, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error?.message ?? `HTTP ${response.status}`);
  return answer;
}

function actionsOf(chat) {
  const { openKfId, externalUserId } = chat;
  const send = async (message) => {
    try {
      await request('POST', '/messages', { externalUserId, openKfId, ...message });
    } catch (error) {
      phones.get(chat.key)?.notice(`没有发出去：${error.message}`);
    }
  };
  return {
    sendText: (content) => send({ content }),
    sendImage: () => send({ msgtype: 'image' }),
    sendBurst: async (count) => {
      const messages = Array.from({ length: count }, (_, n) => ({
        externalUserId,
        openKfId,
        content: `第 ${n + 1} 问`,
      }));
      await request('POST', '/messages/batch', { messages });
    },
    bind: canBind ? () => bind(chat) : undefined,
    close: () => removePhone(chat.key),
  };
}

async function bind(chat) {
  const instanceId = `demo-${chat.externalUserId.replace(/^wm-?/, '')}`;
  try {
    const { code } = await request('POST', '/bind-code', { instanceId, name: `${chat.nickname}的小龙虾` });
    phones.get(chat.key)?.notice(`已为「${chat.nickname}的小龙虾」生成验证码 ${code}，15 分钟内有效`);
    await actionsOf(chat).sendText(code);
  } catch (error) {
    phones.get(chat.key)?.notice(`没有拿到验证码：${error.message}`);
  }
}

function addPhone(chat) {
  const account = accounts.find(({ openKfId }) => openKfId === chat.openKfId);
  const phone = createPhone(chat, account?.name ?? chat.openKfId, actionsOf(chat));
  phones.set(chat.key, phone);
  $('#phones').append(phone.root);
  phone.scrollDown();
  remember();
  return phone;
}

function removePhone(key) {
  phones.get(key)?.root.remove();
  phones.delete(key);
  closeChat(model, key);
  remember();
  showOthers();
}

function newUser(nickname, externalUserId) {
  const chat = openChat(model, { openKfId: accounts[0].openKfId, externalUserId, nickname, allowance });
  request('POST', '/users', { externalUserId, nickname }).catch(() => undefined);
  return addPhone(chat);
}

function freshUser() {
  const used = new Set([...model.chats.values(), ...model.others.values()].map((chat) => chat.nickname));
  const nickname = NAMES.find((name) => !used.has(name)) ?? `用户${used.size + 1}`;
  return newUser(nickname, `wm-${crypto.randomUUID().replaceAll('-', '').slice(0, 10)}`);
}

function remember() {
  const open = [...phones.keys()].map((key) => ({ key, nickname: model.chats.get(key).nickname }));
  localStorage.setItem(STORED, JSON.stringify(open));
}

function remembered() {
  try {
    return JSON.parse(localStorage.getItem(STORED) ?? '[]');
  } catch {
    // Something else wrote there; the page begins anew.
    return [];
  }
}

function showOthers() {
  const others = [...model.others.entries()].slice(-50).reverse();
  $('#others-label').hidden = others.length === 0;
  const first = new Option(`其他用户（${others.length}）`, '');
  $('#others').replaceChildren(first, ...others.map(([key, { nickname }]) => new Option(nickname, key)));
}

async function openOther(key) {
  const snapshot = await request('GET', `/chat?chat=${encodeURIComponent(key)}`);
  loadSnapshot(model, { ...snapshot, others: [] });
  const chat = model.chats.get(key);
  if (chat !== undefined) addPhone(chat);
  showOthers();
}

/**
 * Loads everything that was open (or who wrote last) and follows the stream from there. `keepsAll`: phones
 * whose users the simulator doesn't know stay too; a page opened anew drops them when they are all it has.
 */
async function load(keepsAll) {
  stream?.close();
  let stored = remembered();
  const query = stored.map(({ key }) => `chat=${encodeURIComponent(key)}`).join('&');
  let snapshot = await request('GET', `/chat?${query}`);
  if (!keepsAll && stored.length > 0 && snapshot.chats.length === 0) {
    stored = [];
    snapshot = await request('GET', '/chat');
  }
  accounts = snapshot.accounts;
  allowance = snapshot.allowance;
  canBind = snapshot.canBind;
  for (const map of [model.chats, model.others, model.byMsgid, phones]) map.clear();
  $('#phones').replaceChildren();
  loadSnapshot(model, snapshot);
  for (const { key, nickname } of stored) {
    const [openKfId] = key.split(':');
    const known = model.chats.get(key);
    if (known !== undefined) addPhone(known);
    else if (accounts.some((account) => account.openKfId === openKfId)) {
      newUser(nickname, key.slice(openKfId.length + 1));
    }
  }
  for (const chat of model.chats.values()) if (!phones.has(chat.key)) addPhone(chat);
  while (stored.length === 0 && phones.size < FIRST_PHONES) freshUser();
  showOthers();
  panel.showTotals(model.totals);
  await panel.refreshFaults();
  follow(snapshot.lastEventSeq);
}

function follow(after) {
  stream = new EventSource(`control/events?after=${after}`);
  stream.addEventListener('open', () => showLive('live', '实时连接'));
  stream.addEventListener('error', () => showLive('lost', '连接断开，正在重连…'));
  for (const type of EVENT_TYPES) stream.addEventListener(type, (message) => take(JSON.parse(message.data)));
}

function take(event) {
  if (event.type === 'reset') panel.clear();
  if (event.type === 'reset' || event.type === 'resync') {
    load(true).catch(showFailure);
    return;
  }
  for (const key of applyEvent(model, event)) dirty.add(key);
  if (event.type === 'customerMessage') openNewcomer(event.customer);
  panel.showEvent(event, nameOf);
  schedule();
}

/** Somebody writes whose phone isn't shown: shown as long as there is room. */
function openNewcomer(customer) {
  const key = chatKey(customer);
  if (phones.has(key)) return;
  if (phones.size < AUTO_OPEN_MAX) openOther(key).catch(showFailure);
  else dirty.add('others');
}

let isScheduled = false;
function schedule() {
  if (isScheduled) return;
  isScheduled = true;
  // A timer rather than a frame: pages in the background should be up to date when looked at.
  setTimeout(() => {
    isScheduled = false;
    for (const key of dirty) phones.get(key)?.update();
    if (dirty.has('others')) showOthers();
    dirty.clear();
    panel.showTotals(model.totals);
  }, 30);
}

function nameOf({ nickname, externalUserId }) {
  return nickname ?? externalUserId;
}

function showLive(state, text) {
  $('#live').dataset.state = state;
  $('#live').textContent = text;
}

function showFailure(error) {
  showLive('lost', `出错了：${error.message}`);
  setTimeout(() => load(true).catch(showFailure), 2000);
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  localStorage.setItem('wecom-simulator-theme', theme);
}

function setPanel(isOpen) {
  document.body.classList.toggle('no-panel', !isOpen);
  $('#toggle-panel').setAttribute('aria-expanded', String(isOpen));
}

const isDarkByDefault = matchMedia('(prefers-color-scheme: dark)').matches;
setTheme(localStorage.getItem('wecom-simulator-theme') ?? (isDarkByDefault ? 'dark' : 'light'));
setPanel(matchMedia('(min-width: 900px)').matches);
$('#toggle-theme').addEventListener('click', () => {
  setTheme(document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
});
$('#toggle-panel').addEventListener('click', () => setPanel(document.body.classList.contains('no-panel')));
$('#add-user').addEventListener('click', () => {
  const phone = freshUser();
  phone.root.scrollIntoView({ behavior: 'smooth', inline: 'end', block: 'nearest' });
  phone.focus();
});
$('#others').addEventListener('change', (event) => {
  if (event.target.value !== '') openOther(event.target.value).catch(showFailure);
});
$('#reset').addEventListener('click', () => {
  if (confirm('清空模拟器里的全部消息和用户？')) request('POST', '/reset').catch(showFailure);
});

load(false).catch(showFailure);
