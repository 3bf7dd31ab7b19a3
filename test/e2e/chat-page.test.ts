// The simulator's chat page in a real browser. Where no Chromium can be had, npm test says so at its end, and only the
// checks of the page's pure functions (simulators/wecom/page/page.test.ts) have run.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type Browser, chromium, type Locator, type Page } from 'playwright-core';
import { startWecomSimulator, type WecomSimulator } from '../simulators/wecom/start-wecom-simulator.ts';
import { createWecomApi, type WecomApi } from '../simulators/wecom/wecom-api.ts';

/** Found, or installed, by npm test. */
const { CHROMIUM_PATH: browserPath } = process.env;
const describeInBrowser = browserPath === undefined ? describe.skip : describe;

describeInBrowser('the chat page', () => {
  let browser: Browser;
  let page: Page;
  let simulator: WecomSimulator;
  let api: WecomApi;
  let binder: Server;
  let binderCalls: string[];
  let pageErrors: string[];

  beforeAll(async () => {
    const args = ['--no-sandbox', '--disable-dev-shm-usage'];
    browser = await chromium.launch({ ...(browserPath === undefined ? {} : { executablePath: browserPath }), args });
  }, 120_000);
  afterAll(() => browser.close());

  beforeEach(async () => {
    binderCalls = [];
    binder = createServer((request, response) => {
      binderCalls.push(`${request.method} ${request.url} ${request.headers.authorization}`);
      response.statusCode = 201;
      response.end(JSON.stringify({ code: 'A1B2C3', expiresAt: Date.now() + 900_000 }));
    });
    await new Promise<void>((resolve) => binder.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(binder.address() as AddressInfo).port}`;
    simulator = await startWecomSimulator({
      binder: { url, adminToken: 'admin', bridgeHost: '127.0.0.1', bridgePort: 3112 },
    });
    api = createWecomApi(simulator);
    page = await browser.newPage({ viewport: { width: 1500, height: 900 } });
    pageErrors = [];
    page.on('pageerror', (error) => pageErrors.push(String(error)));
    await openPage();
  }, 120_000);
  afterEach(async () => {
    await page.close();
    await simulator.close();
    binder.closeAllConnections();
    await new Promise((resolve) => binder.close(resolve));
    expect(pageErrors).toEqual([]);
  });

  /** A machine whose network changes meanwhile (containers come and go) makes Chromium drop a load. */
  async function openPage(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      await page.goto(simulator.url);
      try {
        await page.getByText('实时连接').waitFor({ timeout: 10_000 });
        return;
      } catch (error) {
        if (tries === 3) throw error;
      }
    }
  }

  const phone = (nickname: string): Locator => page.getByRole('article', { name: `${nickname}的手机` });
  const userOf = async (nickname: string) => (await phone(nickname).getAttribute('data-user')) ?? '';

  async function write(nickname: string, text: string): Promise<void> {
    const field = phone(nickname).getByRole('textbox');
    await field.fill(text);
    await field.press('Enter');
    await phone(nickname).locator('.from-user').getByText(text, { exact: true }).last().waitFor();
  }

  it('shows three users, sends with Enter and shows when a message was pulled', async () => {
    expect(await page.getByRole('article').count()).toBe(3);
    await write('小明', '你好');
    expect(simulator.control.messages({ user: await userOf('小明') })).toHaveLength(1);
    await phone('小明').getByText('✓ 已发送').waitFor();
    await api.sync();
    await phone('小明')
      .getByText(/✓✓ 已拉取 \d/)
      .waitFor();
    expect(await phone('小红').locator('.bubble').count()).toBe(0);
  }, 120_000);

  it('shows answers live with the allowance that is left, never as HTML', async () => {
    await write('小明', '在吗');
    const hostile = '<img src=x onerror="document.title=1"> & <b>粗</b>';
    await api.sendText(await userOf('小明'), hostile);
    await phone('小明').locator('.from-kf').getByText(hostile, { exact: true }).waitFor();
    expect(await phone('小明').locator('.messages img, .messages b').count()).toBe(0);
    expect(await page.title()).toBe('微信客服模拟器');
    await phone('小明').getByRole('img', { name: '客服还能发 4 条，共 5 条' }).waitFor();
    expect(await phone('小明').locator('.dot:not(.is-used)').count()).toBe(4);
  }, 120_000);

  it('warns of cut texts, failed and refused sends, and draws code as a block', async () => {
    await write('小明', '写代码');
    const user = await userOf('小明');
    await api.sendText(user, `看:\n\`\`\`ts\nconst a = 1 < 2;\n\`\`\`\n好了`);
    expect(await phone('小明').locator('.code pre').textContent()).toBe('const a = 1 < 2;');
    await api.sendText(user, '龙'.repeat(700), 'm-long');
    await phone('小明').getByText('截断：原文 2100 字节').waitFor();
    simulator.control.failSend({ msgid: 'm-long', failType: 6 });
    await phone('小明').getByText('未送达：超过五条').waitFor();
    for (let n = 0; n < 5; n += 1) await api.sendText(user, `${n}`);
    await phone('小明').getByText('拒收 95001 · 五条额度已用完').waitFor();
    await phone('小明').getByText('×2').waitFor();
  }, 120_000);

  it('adds users, sends images and keeps everything over a reload', async () => {
    await page.getByRole('button', { name: '添加用户' }).click();
    expect(await page.getByRole('article').count()).toBe(4);
    await write('小芳', '第一句\t<i>');
    await phone('小芳').getByRole('button', { name: '小芳的更多操作' }).click();
    await phone('小芳').getByRole('button', { name: '图片' }).click();
    await phone('小芳').getByRole('img', { name: '图片消息' }).waitFor();
    const sent = simulator.control.messages({ user: await userOf('小芳') });
    expect(sent.map(({ item }) => item.msgtype)).toEqual(['text', 'image']);
    await page.reload();
    await phone('小芳').getByText('第一句').waitFor();
    expect(await page.getByRole('article').count()).toBe(4);
  }, 120_000);

  it('opens a phone for somebody new who writes', async () => {
    simulator.control.setNickname('wm-new', '新人');
    simulator.control.sendMessage({ externalUserId: 'wm-new', content: '有人吗' });
    await phone('新人').getByText('有人吗').waitFor();
  }, 120_000);

  it('binds a user with one click', async () => {
    await phone('小红').getByRole('button', { name: '一键绑定小龙虾' }).click();
    await phone('小红').locator('.from-user').getByText('A1B2C3').waitFor();
    const user = await userOf('小红');
    const instanceId = `demo-${user.replace('wm-', '')}`;
    expect(binderCalls).toEqual([
      'POST /api/v1/agent/instances Bearer admin',
      `POST /api/v1/agent/channels/wecom/bind/${instanceId} Bearer admin`,
    ]);
    expect(simulator.control.messages({ user })).toMatchObject([{ item: { text: { content: 'A1B2C3' } } }]);
  }, 120_000);

  it('switches faults on and off, and comes back after the simulator was emptied', async () => {
    const busy = page.getByRole('button', { name: /^系统繁忙/ });
    await busy.click();
    await page.locator('.fault[aria-pressed="true"]').waitFor();
    expect(simulator.control.faults()).toMatchObject([{ api: 'send_msg', action: { kind: 'errcode', errcode: -1 } }]);
    await busy.click();
    await page.locator('.fault[aria-pressed="true"]').waitFor({ state: 'detached' });
    expect(simulator.control.faults()).toEqual([]);
    await write('小明', '你好');
    simulator.control.reset();
    await phone('小明').getByText('小明还没有发过消息').waitFor();
    await write('小明', '又来了');
  }, 120_000);
});
