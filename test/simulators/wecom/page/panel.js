// Chat page: the platform's side: totals, faults to switch on, what its API is being asked.
import { clockTime, refusalText } from './message-text.js';
import { element } from './phone.js';

const KEPT_LINES = 60;

const FAULTS = [
  {
    label: '发送成功却断线',
    about: '已受理，但一半的回应丢了',
    rule: { api: 'send_msg', probability: 0.5, action: { kind: 'acceptThenDrop' } },
  },
  {
    label: '发送前断线',
    about: '一半的发送还没受理就断开',
    rule: { api: 'send_msg', probability: 0.5, action: { kind: 'drop' } },
  },
  {
    label: '系统繁忙',
    about: '一半的发送得到 errcode -1',
    rule: { api: 'send_msg', probability: 0.5, action: { kind: 'errcode', errcode: -1 } },
  },
  {
    label: '重复推送',
    about: '每次拉取都带上之前的 5 条',
    rule: { api: 'sync_msg', probability: 1, action: { kind: 'replay', items: 5 } },
  },
  {
    label: '接口变慢',
    about: '每次调用多等 1 到 2 秒',
    rule: { api: '*', probability: 1, action: { kind: 'delay', delayMs: 1000, jitterMs: 1000 } },
  },
];

/** `request(method, path, body)` talks to the control API. */
export function createPanel(request) {
  const log = document.querySelector('#log');
  const buttons = new Map();
  const box = document.querySelector('#faults');

  for (const fault of FAULTS) {
    const button = element('button', 'fault');
    button.type = 'button';
    button.setAttribute('aria-pressed', 'false');
    const label = element('span', 'fault-label', fault.label);
    label.append(element('small', '', fault.about));
    button.append(element('span', 'switch'), label);
    button.addEventListener('click', async () => {
      const id = button.dataset.fault;
      if (id === undefined) await request('POST', '/faults', fault.rule);
      else await request('DELETE', `/faults/${id}`);
      await refreshFaults();
    });
    buttons.set(fault, button);
    box.append(button);
  }
  const revoke = element('button', 'fault once', '吊销访问令牌');
  revoke.type = 'button';
  revoke.title = '现有 access_token 立刻失效，调用方得自己换一个';
  revoke.addEventListener('click', async () => {
    const { revoked } = await request('POST', '/tokens/revoke');
    addLine(Date.now(), 'gettoken', `已吊销 ${revoked} 个令牌`, 'bad');
  });
  box.append(revoke);

  /** Switches show what the server has, not what was clicked here. */
  async function refreshFaults() {
    const { faults } = await request('GET', '/faults');
    for (const [{ rule }, button] of buttons) {
      const active = faults.find((fault) => isRule(fault, rule));
      button.setAttribute('aria-pressed', String(active !== undefined));
      if (active === undefined) delete button.dataset.fault;
      else button.dataset.fault = active.id;
    }
  }

  function addLine(at, api, text, tone = '') {
    const line = element('li', tone);
    line.append(element('time', '', clockTime(at)), element('b', '', api), element('span', '', text));
    log.prepend(line);
    while (log.children.length > KEPT_LINES) log.lastElementChild.remove();
  }

  return {
    refreshFaults,
    showTotals(totals) {
      for (const [name, value] of Object.entries(totals)) {
        const cell = document.querySelector(`#total-${name}`);
        if (cell !== null) cell.textContent = value.toLocaleString('zh-CN');
      }
    },
    showEvent(event, nameOf) {
      if (event.type === 'pulled') addLine(event.at, 'sync_msg', `拉走 ${event.msgids.length} 条`);
      else if (event.type === 'sent') addLine(event.at, event.sent.api, `→ ${nameOf(event.customer)} 受理`, 'good');
      else if (event.type === 'refused') {
        const { errcode } = event.refused;
        addLine(event.at, event.refused.api, `${errcode} ${refusalText(errcode)}`, 'bad');
      } else if (event.type === 'sendFailed') addLine(event.at, '事件', `msg_send_fail ${event.failType}`, 'bad');
    },
    clear: () => log.replaceChildren(),
  };
}

/** Faults with a count were set by a test; they aren't what a switch here stands for. */
function isRule(fault, rule) {
  const { api, probability, action, count } = fault;
  return count === undefined && JSON.stringify({ api, probability, action }) === JSON.stringify(rule);
}
