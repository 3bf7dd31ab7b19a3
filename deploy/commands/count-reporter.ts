// jest ─▶ test.ts: how many tests passed, failed and were skipped, in the file that TEST_COUNTS_FILE names.
import { writeFileSync } from 'node:fs';

type Counted = 'numPassedTests' | 'numFailedTests' | 'numRuntimeErrorTestSuites' | 'numPendingTests' | 'numTodoTests';

export default class CountReporter {
  onRunComplete(_contexts: unknown, results: Record<Counted, number>): void {
    const counts = {
      passed: results.numPassedTests,
      // A file that can't even be loaded has no tests to count, and must not pass unseen.
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
    };
    if (process.env.TEST_COUNTS_FILE) writeFileSync(process.env.TEST_COUNTS_FILE, JSON.stringify(counts));
  }
}
