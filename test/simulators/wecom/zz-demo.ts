import { createServer } from 'node:http';
import { chromium } from 'playwright-core';
import { longAnswer } from '../bridge/answers.ts';
import { behaviourOfPrompt } from '../bridge/prompt-commands.ts';
import { startWecomSimulator } from './start-wecom-simulator.ts';
import { createWecomApi } from './wecom-api.ts';

const wait = (ms: number) => new Promise((r) => setTimeout(r, ms));
const binder = createServer((q, r) => {
  r.statusCode = 201;
  r.end(JSON.stringify({ code: 'A1B2C3', expiresAt: Date.now() + 900000 }));
}).listen(0);
const s = await startWecomSimulator({
  binder: {
    url: `http://127.0.0.1:${(binder.address() as any).port}`,
    adminToken: 'x',
    bridgeHost: 'h',
    bridgePort: 1,
  },
});
const api = createWecomApi(s);
let cursor = '';
let stop = false; let beat = Date.now(); let lastAnswer: unknown; let reported = false; setInterval(() => { if (!stop && !reported && Date.now() - beat > 3000) { reported = true; process.stdout.write('STUCK ' + JSON.stringify(lastAnswer) + JSON.stringify(s.control.calls()) + process.getActiveResourcesInfo().join() + '\n'); } }, 500).unref();
(async () => {
  while (!stop) {
    beat = Date.now(); const p = await api.sync({ cursor }).catch((e) => { process.stdout.write(String(e.stack)); return undefined; });
    if (!p?.next_cursor) process.stdout.write(JSON.stringify(p)+"\n"); if (p?.next_cursor) {
      cursor = p.next_cursor;
      for (const it of p.msg_list) {
        if (it.origin !== 3) continue;
        const u = String(it.external_userid);
        (async () => {
          if (it.msgtype !== 'text')
            return api.sendText(u, '我目前只能处理文字消息~\n图片、语音请转换成文字后再发给我。');
          const t = (it.text as any).content;
          if (t === 'A1B2C3')
            return api.sendText(
              u,
              '✅ 绑定成功!\n\n你的小龙虾「小明的小龙虾」已与微信客服绑定。\n\n现在直接发消息给我,我会帮你转达给它!',
            );
          await api.sendText(u, '🤔 小虾米正在思考,稍等~');
          await wait(600);
          const b = behaviourOfPrompt(t);
          if (b?.contentBytes) {
            const a = longAnswer(6000);
            for (let i = 0; i < 3; i++) await api.sendText(u, a.slice(i * 660, i * 660 + 660));
            return api.sendText(u, a.slice(0, 760));
          }
          return api.sendText(u, b?.content ?? `你说的是「${t}」,对吗?<b>html</b>\n\n我已经替你处理好了。`);
        })();
      }
    }
    lastAnswer = p?.errcode ?? p; await wait(200);
  }
})();
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
const page = await browser.newPage({ viewport: { width: 1500, height: 900 } });
page.on('console', (m) => process.stdout.write(`[console] ${m.text()}\n`));
page.on('pageerror', (e) => process.stdout.write(`[error] ${e.stack}\n`));
await page.goto(s.url);
await wait(800);
await page.screenshot({ path: '/tmp/shots/1-start.png' });
const phones = page.locator('.phone-slot');
await phones.nth(0).getByText('一键绑定小龙虾').click();
await wait(900);
const say = async (n: number, t: string) => {
  await phones.nth(n).locator('textarea').fill(t);
  await phones.nth(n).locator('textarea').press('Enter');
};
await say(0, '帮我看看明天北京的天气,顺便提醒我带伞');
await say(1, '代码');
await wait(1500);
await phones.nth(2).getByText('打个招呼').click();
await wait(1200);
await phones.nth(2).locator('.more').click();
await phones.nth(2).getByText('图片', { exact: true }).click();
await wait(800);
await say(1, '长文');
await wait(1800);
await page.screenshot({ path: '/tmp/shots/2-chat.png' });
s.control.addFault({ api: 'send_msg', count: 2, action: { kind: 'errcode', errcode: -1 } });
await say(2, '再来一次');
await wait(1500);
const last = s.control.sent().at(-1);
if (last) s.control.failSend({ msgid: last.msgid, failType: 6 });
for (let i = 0; i < 4; i++)
  await api.sendText(phones ? String(await phones.nth(0).getAttribute('data-user')) : '', '第 ' + i + ' 条'.repeat(2));
await phones
  .nth(1)
  .locator('.messages')
  .evaluate((e) => {
    e.scrollTop = 480;
  });
await wait(200);
await api.sendText(String(await phones.nth(1).getAttribute('data-user')), 'x');
s.control.sendMessage({ externalUserId: String(await phones.nth(1).getAttribute('data-user')), content: '继续' });
await page.locator('#faults').getByText('系统繁忙').click();
await wait(700);
await page.screenshot({ path: '/tmp/shots/3-faults.png' });
await page.locator('#toggle-theme').click();
await page.locator('#add-user').click();
await wait(800);
await page.screenshot({ path: '/tmp/shots/4-dark.png' });
await page.setViewportSize({ width: 1920, height: 1080 });
await wait(300);
await page.screenshot({ path: '/tmp/shots/5-wide.png' });
await page.locator('#toggle-theme').click();
const m = await browser.newPage({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 });
await m.goto(s.url);
await wait(800);
await m.screenshot({ path: '/tmp/shots/6-mobile.png' });
process.stdout.write(JSON.stringify(s.control.calls())+"\n"); stop = true;
await wait(500);
await browser.close();
await s.close();
binder.close();
