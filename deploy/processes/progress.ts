// npm start, npm test, npm run check ─▶ terminal: the only file here that prints.

/** Of the whole command, which began in bootstrap.mjs. */
const startedAt = performance.now() - Math.max(0, Date.now() - Number(process.env.COMMAND_STARTED_AT || Date.now()));
const isTerminal = Boolean(process.stdout.isTTY) && process.env.TERM !== 'dumb';
const REDRAW_MS = 200;
const LINE_MS = 5000;
const BAR_CHARACTERS = 24;
const NAME_WIDTH = 'bridge-simulator'.length;

// Whoever read our output may be gone (a closed terminal, `| head`); stopping cleanly matters more than saying so.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

const bars: Set<{ name: string; text: string; fraction: number | undefined; since: number; saidAt: number }> =
  new Set();
let redraw: NodeJS.Timeout | undefined;

const seconds = (ms: number) => (ms / 1000).toFixed(1);
const stamp = () => `[${seconds(performance.now() - startedAt).padStart(6)} s]`;

/** Prints a line as it is. */
export function line(text = '') {
  if (isTerminal && bars.size > 0) process.stdout.write('\r\x1b[K');
  process.stdout.write(`${text}\n`);
}

/** One line of what happens: time since the start, the part of the system, what it did. */
export function step(name: string, text: string) {
  line(`${stamp()} ${name.padEnd(NAME_WIDTH)} ${text}`);
}

/** Like `step`, for what a person should look at. */
export function warn(name: string, text: string) {
  step(name, isTerminal ? `\x1b[33m! ${text}\x1b[0m` : `! ${text}`);
}

/** A failure: the step, the cause, and what to do about it. Goes to stderr. */
export function fail(name: string, cause: string, remedy: string | undefined) {
  const [on, off] = isTerminal ? ['\x1b[31m', '\x1b[0m'] : ['', ''];
  if (isTerminal && bars.size > 0) process.stdout.write('\r\x1b[K');
  process.stderr.write(`${on}${stamp()} ${name.padEnd(NAME_WIDTH)} FAILED: ${cause}${off}\n`);
  for (const part of remedy?.split('\n') ?? []) process.stderr.write(`${' '.repeat(NAME_WIDTH + 12)}${part}\n`);
}

/**
 * Says how long something took, as `(4.2 s)`.
 * @param since as performance.now() gave it
 */
export function took(since: number) {
  return `(${seconds(performance.now() - since)} s)`;
}

/**
 * A long step: a bar on a terminal, a line every 5 s elsewhere. Several may run side by side.
 * `at(fraction)` takes 0…1, or undefined when nobody knows; `end()` removes the bar.
 */
export function bar(name: string, text: string) {
  const own = {
    name,
    text,
    fraction: undefined as number | undefined,
    since: performance.now(),
    saidAt: performance.now(),
  };
  step(name, text);
  bars.add(own);
  redraw ??= setInterval(draw, REDRAW_MS).unref();
  return {
    at: (fraction: number | undefined) => {
      own.fraction = fraction === undefined ? undefined : Math.min(1, Math.max(0, fraction));
    },
    end: () => {
      bars.delete(own);
      if (isTerminal) process.stdout.write('\r\x1b[K');
      if (bars.size > 0) return;
      clearInterval(redraw);
      redraw = undefined;
    },
  };
}

function draw() {
  if (isTerminal) {
    const width = (process.stdout.columns || 80) - 1;
    const drawn = [...bars].map((own) => `${own.name} ${drawBar(own.fraction)} ${percent(own)}`).join('   ');
    process.stdout.write(`\r\x1b[K${`${stamp()} ${drawn}`.slice(0, width)}`);
    return;
  }
  for (const own of bars) {
    if (performance.now() - own.saidAt < LINE_MS) continue;
    own.saidAt = performance.now();
    step(own.name, `… ${own.text}: ${percent(own)}`);
  }
}

const drawBar = (fraction: number | undefined) => {
  const filled = Math.round((fraction ?? 0) * BAR_CHARACTERS);
  return `[${'#'.repeat(filled)}${'.'.repeat(BAR_CHARACTERS - filled)}]`;
};

const percent = (own: { fraction: number | undefined; since: number }) => {
  const elapsed = `${Math.round((performance.now() - own.since) / 1000)} s`;
  return own.fraction === undefined ? elapsed : `${Math.floor(own.fraction * 100)} %, ${elapsed}`;
};
