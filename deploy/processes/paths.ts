// npm start, npm test, npm run check: where things lie in a clone.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Everything that a start or a test run writes, beside node_modules: data, keys, logs, records of processes. */
export const local = join(root, '.local');

/** Node keeps compiled (and type-stripped) sources here: a warm start of a service takes half the CPU time. */
export const compileCache = join(local, 'compile-cache');

/** Options and path with which Node runs jest. */
export const JEST = [
  '--experimental-vm-modules', // it needs that to load ES modules
  '--disable-warning=ExperimentalWarning',
  join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
];
