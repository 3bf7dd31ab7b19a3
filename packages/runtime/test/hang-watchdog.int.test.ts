// A process that hangs is ended; one that was only suspended, or works in short breaths, isn't.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from '@jest/globals';
import { eventually } from '../../../test/support/eventually.ts';

const WATCHDOG = fileURLToPath(new URL('../src/hang-watchdog.ts', import.meta.url));
let child: ChildProcess;
let output: string;

/** Runs `work` in a process whose watchdog barks after 10 ticks of 50 ms. */
function run(work: string) {
  const program = `
    const { startHangWatchdog } = await import(${JSON.stringify(WATCHDOG)});
    startHangWatchdog({ tickMs: 50, silentTicks: 10 });
    ${work}`;
  output = '';
  child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout?.on('data', (chunk) => {
    output += chunk;
  });
  return once(child, 'exit');
}
afterEach(() => void child.kill('SIGKILL'));

test('an endless loop ends the process, which says why', async () => {
  const [code, signal] = await run('setTimeout(() => { for (;;); }, 200)');
  expect([code, signal]).toEqual([null, 'SIGKILL']);
  expect(JSON.parse(output)).toMatchObject({ level: 60, msg: 'process.hung' });
});

test('a process that was suspended for longer goes on', async () => {
  const ended = run(`let n = 0; setInterval(() => { console.log('turn'); if (++n === 60) process.exit(0); }, 50)`);
  await eventually('it runs', () => output.includes('turn'));
  child.kill('SIGSTOP');
  const stoppedAt = Date.now();
  await eventually('much longer than 10 ticks', () => Date.now() > stoppedAt + 2_000);
  child.kill('SIGCONT');
  expect(await ended).toEqual([0, null]);
});

test('the watchdog keeps no process awake', async () => {
  expect(await run('')).toEqual([0, null]);
});
