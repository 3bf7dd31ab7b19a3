// WeCom simulator: asks the product's binder for a code, so that a visitor of the chat page can bind a user.

export type BinderOptions = {
  /** Base address of the binder's API, without a slash at the end. */
  url: string;
  adminToken: string;
  /** Where new instances live. */
  bridgeHost: string;
  bridgePort: number;
};

export type BindCode = { instanceId: string; name: string; code: string; expiresAt: number };

export type Binder = {
  /** Makes the instance when it is missing, then a code for it. Throws with the binder's own words when refused. */
  bindCode(instanceId: string, name: string): Promise<BindCode>;
};

export function createBinder(options: BinderOptions): Binder {
  const call = async (path: string, body: unknown) => {
    const response = await fetch(`${options.url}/api/v1/agent${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${options.adminToken}`, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(5000),
    });
    return { status: response.status, text: await response.text() };
  };

  return {
    async bindCode(instanceId, name) {
      const { bridgeHost: serverHost, bridgePort: hostPort } = options;
      const made = await call('/instances', { id: instanceId, name, status: 'running', serverHost, hostPort });
      if (made.status !== 201 && made.status !== 409) throw new Error(`binder: ${made.status} ${made.text}`);
      const coded = await call(`/channels/wecom/bind/${encodeURIComponent(instanceId)}`, {});
      if (coded.status !== 201) throw new Error(`binder: ${coded.status} ${coded.text}`);
      const { code, expiresAt } = JSON.parse(coded.text) as { code: string; expiresAt: number };
      return { instanceId, name, code, expiresAt };
    },
  };
}
