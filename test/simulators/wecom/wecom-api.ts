// WeCom simulator: a plain caller of its API for the simulator's own tests; no retries, no token cache.
import type { WecomSimulator } from './start-wecom-simulator.ts';

export type Answer = { errcode: number; errmsg: string } & Record<string, unknown>;

export type WecomApi = {
  token(): Promise<string>;
  post(api: string, body: unknown): Promise<Answer>;
  sync(
    fields?: Record<string, unknown>,
  ): Promise<Answer & { msg_list: Record<string, unknown>[]; next_cursor: string }>;
  sendText(user: string, content: string, msgid?: string): Promise<Answer>;
};

export function createWecomApi(simulator: WecomSimulator): WecomApi {
  const { url, corpId, secret, openKfId } = simulator;
  let current: string | undefined;
  const token = async (): Promise<string> => {
    const response = await fetch(`${url}/cgi-bin/gettoken?corpid=${corpId}&corpsecret=${secret}`);
    const answer = (await response.json()) as { access_token: string };
    current = answer.access_token;
    return answer.access_token;
  };
  const post = async (api: string, body: unknown): Promise<Answer> => {
    const accessToken = current ?? (await token());
    const response = await fetch(`${url}/cgi-bin/${api}?access_token=${accessToken}`, {
      method: 'POST',
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });
    return (await response.json()) as Answer;
  };
  return {
    token,
    post,
    sync: async (fields = {}) =>
      (await post('kf/sync_msg', { open_kfid: openKfId, ...fields })) as Awaited<ReturnType<WecomApi['sync']>>,
    sendText: (user, content, msgid) =>
      post('kf/send_msg', {
        touser: user,
        open_kfid: openKfId,
        msgtype: 'text',
        text: { content },
        ...(msgid === undefined ? {} : { msgid }),
      }),
  };
}
