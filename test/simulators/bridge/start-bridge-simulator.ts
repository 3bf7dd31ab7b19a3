// Bridge simulator: agent instances behind as many ports as wanted, for tests in-process and for main.ts.
import express from 'express';
import { defaultAnswer } from './answers.ts';
import { type BehaviourPatch, createRules } from './behaviour.ts';
import type { BridgeControl } from './bridge-control.ts';
import { answerError, controlRoutes } from './control-routes.ts';
import { createListeners } from './listeners.ts';
import { createPostCallback } from './post-callback.ts';
import { type BridgeSettings, createTaskHandler } from './run-task.ts';
import { createTaskBook } from './task-book.ts';

export type BridgeSimulatorOptions = {
  /** 0, the default, takes any free one. */
  port?: number;
  bindAddress?: string;
  /** What holds where no rule and no prompt says otherwise. */
  behaviour?: BehaviourPatch;
  isIdempotent?: boolean;
  readsPrompts?: boolean;
  /** What it answers where no behaviour says it: by default a text that repeats the prompt. */
  answer?: BridgeSettings['answer'];
  /** How long a callback is tried again on 503 or a lost connection, ms. */
  retryForMs?: number;
  /** How long one try may take, ms: a frozen router answers none. */
  tryMs?: number;
  /** Where a callback to this URL goes instead, as a gateway in between would decide. */
  callbackTo?: (url: string) => string;
};

export type BridgeSimulator = {
  url: string;
  host: string;
  port: number;
  control: BridgeControl;
  close(): Promise<void>;
};

const RETRY_FOR_MS = 20_000;
const TRY_MS = 15_000;

export async function startBridgeSimulator(options: BridgeSimulatorOptions = {}): Promise<BridgeSimulator> {
  const { bindAddress = '127.0.0.1', isIdempotent = true, readsPrompts = true } = options;
  const { answer = defaultAnswer, retryForMs = RETRY_FOR_MS, tryMs = TRY_MS } = options;
  const first: BridgeSettings = { isIdempotent, readsPrompts, behaviour: { ...options.behaviour }, answer };
  const settings: BridgeSettings = { ...first };
  const book = createTaskBook();
  const rules = createRules();
  const postCallback = createPostCallback({ retryForMs, tryMs }, options.callbackTo);
  const runTask = createTaskHandler({ book, rules, settings, postCallback });

  const app = express();
  app.disable('x-powered-by');
  const listeners = createListeners(bindAddress, (instance) => (request, response) => {
    if (request.method !== 'POST' || request.url !== '/task-async') app(request, response);
    else runTask(instance, request, response).catch(() => response.destroy());
  });

  const control: BridgeControl = {
    listen: (port = 0) => listeners.open(port),
    stopListening: (port) => listeners.close(port),
    ports: () => listeners.ports(),
    addRule: (rule) => rules.add(rule),
    removeRules: (id) => rules.remove(id),
    rules: () => rules.list(),
    changeSettings(change) {
      settings.isIdempotent = change.isIdempotent ?? settings.isIdempotent;
      settings.readsPrompts = change.readsPrompts ?? settings.readsPrompts;
      settings.behaviour = { ...settings.behaviour, ...change.behaviour };
      return { ...settings };
    },
    settings: () => ({ ...settings }),
    tasks: (filter) => book.tasks(filter),
    task: (msgId) => book.task(msgId),
    counts: () => book.counts(),
    overlaps: () => book.overlaps(),
    violations: () => book.violations(),
    reset() {
      rules.remove();
      book.clear();
      Object.assign(settings, first);
    },
  };
  app.get('/healthz', (_request, response) => {
    response.json({ ok: true });
  });
  app.use('/control', controlRoutes(control));
  app.use(answerError);

  const port = await listeners.open(options.port ?? 0);
  const host = bindAddress === '0.0.0.0' ? '127.0.0.1' : bindAddress;
  return {
    url: `http://${host}:${port}`,
    host,
    port,
    control,
    close: () => listeners.closeAll(),
  };
}
