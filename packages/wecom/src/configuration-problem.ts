// What an operator has to fix before WeCom works again: readiness shows it.
import { describeErrcode } from './errcodes.ts';
import type { WecomError } from './wecom-error.ts';

export interface ConfigurationProblem {
  errcode: number;
  meaning: string;
  hint: string;
}

export interface ConfigurationProblems {
  /** Notes how a call ended: `about` names the API and the KF account it was for. */
  note(about: string, error: WecomError | null): void;
  /** Rejected credentials first, for they stop everything; else the oldest problem that hasn't gone away. */
  current(): ConfigurationProblem | null;
  /** The refusal of our credentials, which is final until the process restarts; else null. */
  finalRefusal(): WecomError | null;
}

/** Each wrong try counts towards an hour-long block of our IP (path/90313), so these are never tried again. */
const FINAL_CODES: ReadonlySet<number | null> = new Set([40001, 40013]);

export const GETTOKEN = 'gettoken';

export function createConfigurationProblems(): ConfigurationProblems {
  const problems = new Map<string, WecomError>();
  let final: WecomError | null = null;
  return {
    note(about, error) {
      if (error === null) problems.delete(about);
      else if (error.class === 'configuration') {
        if (error.api === GETTOKEN && FINAL_CODES.has(error.errcode)) final = error;
        problems.set(error.api === GETTOKEN ? GETTOKEN : about, error);
      }
    },
    current() {
      const [first] = problems.values();
      const errcode = (final ?? first)?.errcode ?? null;
      if (errcode === null) return null;
      const { meaning, hint } = describeErrcode(errcode);
      return { errcode, meaning, hint };
    },
    finalRefusal: () => final,
  };
}
