// Bridge simulator: every task it saw, with times, counts and overlaps per user.
import type { TaskBody } from './task-body.ts';

export type CallbackRecord = {
  /** Epoch ms of this machine when the POST began, and when its last answer came. */
  at: number;
  answeredAt: number | null;
  /** Answered for good, or given up. */
  hasEnded: boolean;
  attempts: number;
  /** Of the last attempt; 0: no answer. */
  status: number;
  body: string;
};

export type TaskRecord = {
  id: number;
  port: number;
  externalUserId: string;
  msgId: string;
  prompt: string;
  timeoutSeconds: number;
  callbackUrl: string;
  /** POSTs with this key, the first one included. */
  posts: number;
  /** How often it was really run; above 1 only when idempotency is off. */
  runs: number;
  /** Epoch ms of the first POST. */
  startedAt: number;
  ackedAt: number | null;
  ack: string;
  /** Epoch ms at which the work was over: the callback began, or the ack refused it. Never for `none`. */
  endedAt: number | null;
  result: string | null;
  contentBytes: number | null;
  callbacks: CallbackRecord[];
};

export type Overlap = { externalUserId: string; earlier: string; later: string; at: number };
export type Violation = { at: number; port: number; violations: string[]; body: string };

const KEPT_VIOLATIONS = 1000;

export type TaskBook = {
  /** The record of this key; `isNew` tells whether this POST is the first with it. */
  post(port: number, body: TaskBody, at: number): { task: TaskRecord; isNew: boolean };
  /** The task runs (again); notes an overlap with another running task of the same user. */
  begin(task: TaskRecord, at: number): void;
  end(task: TaskRecord, at: number): void;
  violate(violation: Violation): void;
  tasks(filter?: { user?: string | undefined; port?: number | undefined; since?: number | undefined }): TaskRecord[];
  task(msgId: string): TaskRecord | undefined;
  overlaps(): Overlap[];
  violations(): Violation[];
  counts(): Record<string, number>;
  clear(): void;
};

export function createTaskBook(): TaskBook {
  let tasks: TaskRecord[] = [];
  let overlaps: Overlap[] = [];
  let violations: Violation[] = [];
  let posts = 0;
  let maxRunning = 0;
  const byKey = new Map<string, TaskRecord>();
  const runningByUser = new Map<string, Set<TaskRecord>>();
  let running = 0;

  return {
    post(port, body, at) {
      posts += 1;
      const found = byKey.get(body.idempotencyKey);
      if (found !== undefined) {
        found.posts += 1;
        return { task: found, isNew: false };
      }
      const { externalUserId, msgId } = body.callbackData;
      const task: TaskRecord = {
        id: tasks.length + 1,
        port,
        externalUserId,
        msgId,
        prompt: body.prompt,
        timeoutSeconds: body.timeoutSeconds,
        callbackUrl: body.callbackUrl,
        posts: 1,
        runs: 0,
        startedAt: at,
        ackedAt: null,
        ack: '',
        endedAt: null,
        result: null,
        contentBytes: null,
        callbacks: [],
      };
      tasks.push(task);
      byKey.set(body.idempotencyKey, task);
      return { task, isNew: true };
    },
    begin(task, at) {
      task.runs += 1;
      running += 1;
      maxRunning = Math.max(maxRunning, running);
      let ofUser = runningByUser.get(task.externalUserId);
      if (ofUser === undefined) {
        ofUser = new Set();
        runningByUser.set(task.externalUserId, ofUser);
      }
      for (const earlier of ofUser) {
        overlaps.push({ externalUserId: task.externalUserId, earlier: earlier.msgId, later: task.msgId, at });
      }
      ofUser.add(task);
    },
    end(task, at) {
      task.endedAt ??= at;
      const ofUser = runningByUser.get(task.externalUserId);
      if (ofUser?.delete(task) === true) running -= 1;
      if (ofUser?.size === 0) runningByUser.delete(task.externalUserId);
    },
    violate(violation) {
      if (violations.length < KEPT_VIOLATIONS) violations.push(violation);
    },
    tasks: ({ user, port, since } = {}) =>
      tasks.filter(
        (task) =>
          (user === undefined || task.externalUserId === user) &&
          (port === undefined || task.port === port) &&
          (since === undefined || task.startedAt > since),
      ),
    task: (msgId) => byKey.get(msgId),
    overlaps: () => overlaps,
    violations: () => violations,
    counts() {
      const runs = tasks.reduce((sum, task) => sum + task.runs, 0);
      const repeatedPosts = posts - tasks.length;
      const callbacks = tasks.reduce((sum, task) => sum + task.callbacks.length, 0);
      const counted = { posts, tasks: tasks.length, runs, repeatedPosts, callbacks, running, maxRunning };
      return { ...counted, overlaps: overlaps.length, violations: violations.length };
    },
    clear() {
      tasks = [];
      overlaps = [];
      violations = [];
      posts = 0;
      maxRunning = 0;
      running = 0;
      byKey.clear();
      runningByUser.clear();
    },
  };
}
