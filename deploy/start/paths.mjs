// npm start, npm test, npm run check: where things lie in a clone.
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const scripts = dirname(fileURLToPath(import.meta.url));
export const root = join(scripts, '..', '..');

/** Everything that a start or a test run writes, beside node_modules: data, keys, logs, records of processes. */
export const local = join(root, '.local');

/** Node 26 comes as the npm package `node`, so the machine's own Node only has to run the files beside this one. */
export const node26 = join(root, 'node_modules', 'node', 'bin', 'node');

/** Node keeps compiled (and type-stripped) sources here: a warm start of a service takes half the CPU time. */
export const compileCache = join(local, 'compile-cache');
