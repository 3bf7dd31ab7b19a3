// npm test ─▶ a Chromium for the tests of the chat page: found, or from apt where that needs no question.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import * as progress from '../processes/progress.ts';
import type { Run } from '../processes/run-command.ts';
import { StartError } from '../processes/start-error.ts';
import { aptInstall } from './apt.ts';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** @returns its path, or why there is none @throws StartError if CHROMIUM_PATH is set and doesn't work */
export async function provideBrowser(
  run: Run,
  env: NodeJS.ProcessEnv,
  mayInstall: boolean,
): Promise<{ path: string } | { problem: string }> {
  if (env.CHROMIUM_PATH && !isExecutable(env.CHROMIUM_PATH))
    throw new StartError('browser', `CHROMIUM_PATH=${env.CHROMIUM_PATH} is no program`);
  const found = env.CHROMIUM_PATH ?? findBrowser(env);
  if (found) return { path: found };
  if (!mayInstall) return { problem: 'not found' };
  const since = performance.now();
  try {
    await aptInstall(run, 'browser', ['chromium']);
  } catch (error) {
    if (error instanceof StartError) return { problem: error.message };
    throw error;
  }
  const path = findBrowser(env);
  if (!path) return { problem: 'apt-get installed chromium, but it is not on PATH' };
  progress.step('browser', `installed ${progress.took(since)}`);
  return { path };
}

function findBrowser({ PATH = '' }: NodeJS.ProcessEnv): string | undefined {
  const folders = PATH.split(delimiter);
  return [...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))), ...PLACES].find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // not there: the next candidate
  }
}
