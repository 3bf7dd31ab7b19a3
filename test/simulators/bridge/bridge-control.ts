// Bridge simulator: what a test, or the control API, can ask of it.
import type { BehaviourPatch, Rule, RuleInput } from './behaviour.ts';
import type { BridgeSettings } from './run-task.ts';
import type { Overlap, TaskRecord, Violation } from './task-book.ts';

type SettingsChange = {
  isIdempotent?: boolean | undefined;
  readsPrompts?: boolean | undefined;
  behaviour?: BehaviourPatch | undefined;
};

export type BridgeControl = {
  listen(port?: number): Promise<number>;
  stopListening(port: number): Promise<boolean>;
  ports(): number[];
  addRule(rule: RuleInput): Rule;
  removeRules(id?: string): number;
  rules(): Rule[];
  changeSettings(change: SettingsChange): BridgeSettings;
  settings(): BridgeSettings;
  tasks(filter?: { user?: string | undefined; port?: number | undefined; since?: number | undefined }): TaskRecord[];
  task(msgId: string): TaskRecord | undefined;
  counts(): Record<string, number>;
  overlaps(): Overlap[];
  violations(): Violation[];
  /** Rules, settings and records back to the start; listeners stay open. */
  reset(): void;
};
