// WeCom simulator: the whole of it as an HTTP server, for tests in-process and for main.ts.
import { setMaxListeners } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import express from 'express';
import { type BinderOptions, createBinder } from './binder.ts';
import { type Control, createControl } from './control.ts';
import { type CallbackConfig, callbackSchema, createDoorbell } from './doorbell/doorbell.ts';
import { createFaults } from './faults.ts';
import { createCgiBin } from './http/cgi-bin.ts';
import { answerError, controlRoutes } from './http/control-routes.ts';
import { streamEvents } from './http/event-stream.ts';
import { pageRoutes } from './http/page-routes.ts';
import type { Clock } from './platform/clock.ts';
import { createWorld } from './platform/platform.ts';
import type { SettingsPatch } from './platform/settings.ts';

export type WecomSimulatorOptions = {
  /** 0, the default, takes any free one. */
  port?: number;
  bindAddress?: string;
  corpId?: string;
  secret?: string;
  /** The first KF account is `openKfId` (default wk-demo); more by `accounts`. */
  openKfId?: string;
  accounts?: { openKfId: string; name: string }[];
  settings?: SettingsPatch;
  clock?: Clock;
  callback?: Partial<CallbackConfig>;
  /** Lets the chat page make binding codes. */
  binder?: BinderOptions;
};

export type WecomSimulator = {
  /** Without a slash at the end; what IT0_WECOM_API_URL is set to. */
  url: string;
  port: number;
  corpId: string;
  secret: string;
  openKfId: string;
  control: Control;
  close(): Promise<void>;
};

const PAGE_FOLDER = fileURLToPath(new URL('./page', import.meta.url));

export async function startWecomSimulator(options: WecomSimulatorOptions = {}): Promise<WecomSimulator> {
  const { corpId = 'ww-demo', secret = 'demo-secret', openKfId = 'wk-demo', bindAddress = '127.0.0.1' } = options;
  const { settings = {}, clock } = options;
  const accounts = [{ openKfId, name: '小龙虾客服' }, ...(options.accounts ?? [])];
  const stop = new AbortController();
  setMaxListeners(0, stop.signal);
  const world = createWorld({ corpId, secret, accounts, settings, clock });
  const faults = createFaults();
  const doorbell = createDoorbell(world, corpId, stop.signal);
  if (options.callback !== undefined) doorbell.configure(callbackSchema.parse(options.callback));
  const control = createControl({ world, faults, doorbell, settings });

  const binder = options.binder === undefined ? undefined : createBinder(options.binder);
  const cgiBin = createCgiBin(world, faults, stop.signal);
  const app = express();
  app.disable('x-powered-by');
  app.get('/healthz', (_request, response) => {
    response.json({ ok: true });
  });
  app.get('/control/events', (request, response) => streamEvents(world.journal, request, response));
  app.use('/control', pageRoutes(world, control, binder));
  app.use('/control', controlRoutes(control));
  app.use(express.static(PAGE_FOLDER, { setHeaders: (response) => response.setHeader('cache-control', 'no-cache') }));
  app.use(answerError);

  // The platform's own API doesn't go through express: it carries the load of the benchmark.
  const server = createServer((request, response) => {
    if (request.url?.startsWith('/cgi-bin/') !== true) app(request, response);
    else cgiBin(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 65_000;
  const port = await listen(server, options.port ?? 0, bindAddress);
  return {
    url: `http://${bindAddress === '0.0.0.0' ? '127.0.0.1' : bindAddress}:${port}`,
    port,
    corpId,
    secret,
    openKfId,
    control,
    close: () => {
      stop.abort();
      return closeServer(server);
    },
  };
}

function listen(server: Server, port: number, address: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, address, () => resolve((server.address() as AddressInfo).port));
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
