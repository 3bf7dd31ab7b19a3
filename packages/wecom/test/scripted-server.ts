// A real HTTP server that answers as a test tells it to.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  method: string;
  /** Without the query. */
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

export type Respond = (request: Received, response: ServerResponse) => void;

export interface ScriptedServer {
  url: string;
  /** Everything but gettoken. */
  calls: Received[];
  tokens: Received[];
  /** How often a connection was opened. */
  connections: number;
  /** Answers every call but gettoken; the last one stays for all that follow. */
  answer(...responds: Respond[]): void;
  /** The same for gettoken; by default token-1, token-2, … of 7200 s. */
  answerToken(...responds: Respond[]): void;
  close(): Promise<void>;
}

export const json =
  (body: unknown, status = 200): Respond =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };

export const text =
  (body: string, status = 200): Respond =>
  (_request, response) => {
    response.writeHead(status).end(body);
  };

export const ok = json({ errcode: 0, errmsg: 'ok' });
export const refuse = (errcode: number, errmsg = 'no'): Respond => json({ errcode, errmsg });
export const hangUp: Respond = (_request, response) => {
  response.destroy();
};
export const stayMute: Respond = () => undefined;

export async function startScriptedServer(): Promise<ScriptedServer> {
  let script: Respond[] = [ok];
  let tokenScript: Respond[] = [];
  const next = (responds: Respond[]): Respond | undefined => (responds.length > 1 ? responds.shift() : responds[0]);
  const nextToken: Respond = (request, response) =>
    json({ errcode: 0, errmsg: 'ok', access_token: `token-${server.tokens.length}`, expires_in: 7200 })(
      request,
      response,
    );

  const http = createServer(async (request, response) => {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://server');
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const received = {
      method: request.method ?? '',
      path,
      query,
      headers: request.headers,
      body: Buffer.concat(chunks),
    };
    const isToken = path.endsWith('/gettoken');
    (isToken ? server.tokens : server.calls).push(received);
    (isToken ? (next(tokenScript) ?? nextToken) : (next(script) ?? ok))(received, response);
  });
  http.on('connection', () => {
    server.connections++;
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  const server: ScriptedServer = {
    url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`,
    calls: [],
    tokens: [],
    connections: 0,
    answer: (...responds) => {
      script = responds;
    },
    answerToken: (...responds) => {
      tokenScript = responds;
    },
    close: () =>
      new Promise((resolve) => {
        http.close(() => resolve());
        http.closeAllConnections();
      }),
  };
  return server;
}
