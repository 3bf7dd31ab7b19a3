// An endless loop throws nothing and answers nobody: a second thread ends the process, and whoever supervises it starts it again.
import { url as inspectorUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';

const TICK_MS = 1_000;
const SILENT_TICKS = 25;

/**
 * Counts its own ticks, not time: when the whole process is suspended (SIGSTOP, a sleeping machine) it is as well.
 * As plain text, because a thread of TypeScript takes twice the memory.
 */
const WATCH = `
  const { workerData: { beats, tickMs, silentTicks } } = require('node:worker_threads');
  let seen = -1;
  let silent = 0;
  setInterval(() => {
    const beat = Atomics.load(beats, 0);
    silent = beat === seen ? silent + 1 : 0;
    seen = beat;
    if (silent < silentTicks) return;
    const line = { level: 60, time: new Date().toISOString(), pid: process.pid, msg: 'process.hung' };
    try {
      require('node:fs').writeSync(1, JSON.stringify(line) + '\\n');
    } catch {} // nobody reads it
    process.kill(process.pid, 'SIGKILL');
  }, tickMs);
`;

/** Kills this process once its event loop has not turned for 25 s. Keeps nothing awake; not while a debugger is attached. */
export function startHangWatchdog({ tickMs = TICK_MS, silentTicks = SILENT_TICKS } = {}): void {
  if (inspectorUrl()) return;
  const beats = new Int32Array(new SharedArrayBuffer(4));
  setInterval(() => Atomics.add(beats, 0, 1), tickMs / 2).unref();
  const worker = new Worker(WATCH, {
    eval: true,
    workerData: { beats, tickMs, silentTicks },
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 },
  });
  worker.on('error', () => {}); // then we go on without
  worker.unref();
}
