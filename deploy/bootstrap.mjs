// Every npm command begins here, on whatever Node runs npm (20 or newer): help and mistakes are answered at once, the
// dependencies installed; then deploy/commands/<name>.ts runs on the Node that came with them. Plain JavaScript.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { answerAtOnce } from './command-line.mjs';
import { installDependencies } from './install-dependencies.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const [name = '', ...args] = process.argv.slice(2);
const env = { ...process.env, COMMAND_STARTED_AT: String(Date.now()) };

const answer = answerAtOnce(name, args);
if (answer) {
  (answer.code === 0 ? process.stdout : process.stderr).write(`${answer.text}\n`);
  process.exit(answer.code);
}
if (!(await installDependencies(root))) process.exit(1);

const program = join(root, 'deploy', 'commands', `${name.replace(':', '-')}.ts`);
// It ends when we do, however that is: the channel closes then (see processes/session.ts).
const child = spawn(join(root, 'node_modules', 'node', 'bin', 'node'), [program, ...args], {
  stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  env,
});
for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP']))
  process.on(signal, () => child.kill(signal));
child.on('error', (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal ?? 'SIGTERM']));
