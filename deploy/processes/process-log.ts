// npm start ─▶ .local/logs/<name>.log, of which warnings and errors are shown, condensed to a line each.
import {
  closeSync,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname } from 'node:path';
import * as progress from './progress.ts';

const READ_MS = 200;
const READ_BYTES = 65_536;
const ROTATE_BYTES = 64 * 1024 * 1024;
const REPEAT_MS = 5000;
const WARN = 40;
const LEVELS = { 40: 'warn', 50: 'error', 60: 'fatal' };

/**
 * A log file that children write to directly, so that they don't depend on us. The one of the run before is kept as `.1`.
 * @param name whose log
 * @param options whether warnings are printed
 */
export function openProcessLog(name: string, path: string, { isShown = true }: { isShown?: boolean } = {}) {
  mkdirSync(dirname(path), { recursive: true });
  rmSync(`${path}.1`, { force: true });
  try {
    renameSync(path, `${path}.1`);
  } catch {
    // the first run has none
  }
  const fd = openSync(path, 'a+');
  const buffer = Buffer.alloc(READ_BYTES);
  const show = createShower(name);
  let position = 0;
  let rest = '';
  let lastWords = '';

  function read() {
    for (;;) {
      const length = readSync(fd, buffer, 0, READ_BYTES, position);
      if (length === 0) break;
      position += length;
      const lines = (rest + buffer.toString('utf8', 0, length)).split('\n');
      rest = (lines.pop() ?? '').slice(-READ_BYTES);
      for (const text of lines) take(text);
    }
    if (fstatSync(fd).size < ROTATE_BYTES) return;
    copyFileSync(path, `${path}.1`);
    ftruncateSync(fd, 0); // the children append, so they go on at the new end
    position = 0;
  }

  function take(text: string) {
    if (text.trim() === '') return;
    const entry = parse(text);
    // What it complained of last; of a stack trace the first line, which says more than the others.
    if (entry && entry.level >= WARN) lastWords = condense(entry);
    else if (!entry && !/^\s+at |^Node\.js v|^\s*[}\])^]/.test(text)) lastWords = text.trim().slice(0, 300);
    if (entry && isShown && entry.level >= WARN) show(entry);
  }

  const timer = setInterval(read, READ_MS);
  return {
    fd,
    path,
    /** The last warning, error or line that is no log entry: after a crash, why. */
    lastWords() {
      read();
      return lastWords;
    },
    close() {
      clearInterval(timer);
      read();
      closeSync(fd);
    },
  };
}

interface LogEntry {
  level: number;
  msg?: string;
  errorCode?: string;
  err?: string | { message?: string };
  reason?: string;
}

/** @returns a pino line, or undefined */
function parse(text: string): LogEntry | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const entry = JSON.parse(text);
    return typeof entry?.level === 'number' ? entry : undefined;
  } catch {
    return undefined;
  }
}

function condense(entry: LogEntry): string {
  const error = typeof entry.err === 'string' ? entry.err : (entry.err?.message ?? entry.reason);
  return [entry.msg, entry.errorCode && `[${entry.errorCode}]`, error]
    .filter(Boolean)
    .join(' ')
    .replaceAll(/\s+/g, ' ')
    .slice(0, 300);
}

/** An outage repeats itself: the same event of the same service is shown once in 5 s, with the number left out. */
function createShower(name: string) {
  const shown: Map<string, { at: number; skipped: number }> = new Map();
  return (entry: LogEntry) => {
    const key = `${entry.level} ${entry.msg} ${entry.errorCode}`;
    const before = shown.get(key);
    if (before && performance.now() - before.at < REPEAT_MS) {
      before.skipped++;
      return;
    }
    shown.set(key, { at: performance.now(), skipped: 0 });
    const more = before?.skipped ? ` (and ${before.skipped} more like it)` : '';
    progress.warn(name, `${LEVELS[(entry.level as 40)] ?? 'error'}: ${condense(entry)}${more}`);
  };
}
