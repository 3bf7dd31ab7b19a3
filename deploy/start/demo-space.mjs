// npm start, demo mode ─▶ a database and a vhost of its own, so that nothing of the demo meets a real account's.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { node26, root, scripts } from './paths.mjs';
import * as progress from './progress.mjs';
import { errorLine, lastLine, runCommand, unstoppable } from './run-command.mjs';
import { StartError } from './start-error.mjs';

const MAX_DATABASE_BYTES = 63;
const DEFAULT_NAME = 'wecom-agent-router';
const STEP_MS = 30_000;

/** @typedef {{ rabbitmqUrl: string, managementUrl: string, mongodbUri: string }} Servers */

/**
 * The same servers, but beside the named vhost and database: always the same ones for a demo that stays up, so that
 * the next one goes on with them; others for `--once`. Each clone has its own, as servers may be shared.
 * @template {Servers} S @param {S} servers @param {boolean} isOnce @returns {S}
 */
export function besideReal(servers, isOnce) {
  const clone = createHash('sha256').update(root).digest('hex').slice(0, 8);
  const suffix = `-demo-${isOnce ? 'once-' : ''}${clone}`;
  const rabbitmq = new URL(servers.rabbitmqUrl);
  rabbitmq.pathname = `/${encodeURIComponent((decodeURIComponent(rabbitmq.pathname.slice(1)) || DEFAULT_NAME) + suffix)}`;

  // It may list several hosts, which makes it no URL.
  const [, hosts = '', path = '', query = ''] = /^([^/]*\/\/[^/?]*)\/?([^?]*)(.*)$/.exec(servers.mongodbUri) ?? [];
  const database = (path || DEFAULT_NAME).slice(0, MAX_DATABASE_BYTES - suffix.length) + suffix;
  // The user lives in the database that was named, unless the URI says otherwise.
  const isUserElsewhere = !hosts.includes('@') || path === '' || /[?&]authSource=/i.test(query);
  const options = isUserElsewhere ? query : `${query || '?'}${query.length > 1 ? '&' : ''}authSource=${path}`;
  return { ...servers, rabbitmqUrl: rabbitmq.href, mongodbUri: `${hosts}/${database}${options}` };
}

/**
 * Makes the demo's vhost and database, empty for `--once`; the returned function removes them again.
 * @param {import('./run-command.mjs').Run} run @param {NodeJS.ProcessEnv} env with the demo's servers @param {boolean} isOnce
 */
export async function openDemoSpace(run, env, isOnce) {
  const step = (/** @type {import('./run-command.mjs').Run} */ by, /** @type {string} */ what) =>
    runCommand(by, node26, [join(scripts, 'make-demo-space.mjs'), what], { env, timeoutMs: STEP_MS });
  const opened = await step(run, isOnce ? 'renew' : 'open');
  if (opened.code !== 0) {
    const [cause, ...remedy] = opened.stderr.trim().split('\n');
    throw new StartError(
      'demo',
      opened.isTimedOut ? 'its vhost and database could not be made in time' : String(cause),
      remedy.join('\n'),
    );
  }
  return async () => {
    const removed = await step(unstoppable(), 'remove');
    if (removed.code !== 0)
      progress.warn('demo', `not removed: ${errorLine(removed.stderr) || lastLine(removed.stdout)}`);
  };
}
