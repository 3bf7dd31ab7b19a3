// npm start, npm test ─▶ is there a Docker engine, and are the images there?
import * as progress from '../processes/progress.ts';
import { errorLine, type Run, runCommand } from '../processes/run-command.ts';

/** As in docker-compose.yml; RABBITMQ_IMAGE names another one to test on. */
export const IMAGES = [process.env.RABBITMQ_IMAGE || 'rabbitmq:4.3-management', 'mongo:8.0'];
const ENGINE_MS = 5000;
const INSPECT_MS = 10_000;
const PULL_MS = 120_000;

/**
 * Why Docker can't be used, or undefined when it can. A client without an engine is common, so is an engine that
 * reaches no registry: neither may take long.
 */
export async function findDockerProblem(run: Run, images: string[] = IMAGES): Promise<string | undefined> {
  const engine = await runCommand(run, 'docker', ['info', '--format', '{{.ServerVersion}}'], { timeoutMs: ENGINE_MS });
  if (engine.error) return 'no docker on PATH';
  if (engine.isTimedOut) return `the Docker engine did not answer within ${ENGINE_MS / 1000} s`;
  if (engine.code !== 0 || engine.stdout.trim() === '') return 'there is a docker client, but no engine answers it';

  const absent = [];
  for (const image of images) {
    const found = await runCommand(run, 'docker', ['image', 'inspect', image], { timeoutMs: INSPECT_MS });
    if (found.code !== 0) absent.push(image);
  }
  const problems = await Promise.all(absent.map((image) => pull(run, image)));
  return problems.find((problem) => problem !== undefined);
}

async function pull(run: Run, image: string): Promise<string | undefined> {
  const bar = progress.bar('docker', `pulling ${image}`);
  try {
    const result = await runCommand(run, 'docker', ['pull', '--quiet', image], { timeoutMs: PULL_MS });
    if (result.code === 0) return undefined;
    return `${image} is not here and could not be pulled: ${result.isTimedOut ? `not done within ${PULL_MS / 1000} s` : errorLine(result.stderr)}`;
  } finally {
    bar.end();
  }
}
