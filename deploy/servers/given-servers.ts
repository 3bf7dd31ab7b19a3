// npm start, npm test ─▶ RabbitMQ and MongoDB that somebody else runs: RABBITMQ_URL and MONGODB_URI, used as they are.
import { connect } from 'node:net';
import * as progress from '../processes/progress.ts';
import { StartError } from '../processes/start-error.ts';
import type { Infrastructure, InfrastructureOptions } from './infrastructure-options.ts';

const REACH_MS = 5000;

export async function useGivenServers({ env }: InfrastructureOptions): Promise<Infrastructure> {
  const rabbitmqUrl = String(env.RABBITMQ_URL);
  const mongodbUri = String(env.MONGODB_URI);
  const rabbitmq = parse('RABBITMQ_URL', rabbitmqUrl, ['amqp:', 'amqps:']);
  await reach(
    'RABBITMQ_URL',
    rabbitmq.hostname,
    Number(rabbitmq.port) || (rabbitmq.protocol === 'amqps:' ? 5671 : 5672),
  );

  if (!/^mongodb(\+srv)?:\/\//.test(mongodbUri)) throw wrong('MONGODB_URI', 'mongodb:// or mongodb+srv://');
  // One plain host can be tried; a list of hosts or an SRV name is the driver's business.
  const single = /^mongodb:\/\/(?:[^@/]*@)?([^,:/?]+)(?::(\d+))?(?:[/?]|$)/.exec(mongodbUri);
  if (single) await reach('MONGODB_URI', String(single[1]), Number(single[2] ?? 27_017));

  progress.step('servers', 'RabbitMQ and MongoDB: those of RABBITMQ_URL and MONGODB_URI');
  const user = rabbitmq.username ? `${rabbitmq.username}:${rabbitmq.password}@` : 'guest:guest@';
  const managementUrl = env.RABBITMQ_MANAGEMENT_URL || `http://${user}${rabbitmq.hostname}:15672`;
  return { rabbitmqUrl, managementUrl, mongodbUri, way: 'env', stop: async () => {} };
}

function parse(variable: string, value: string, protocols: string[]) {
  try {
    const url = new URL(value);
    if (protocols.includes(url.protocol)) return url;
  } catch {
    // said below
  }
  throw wrong(variable, protocols.map((protocol) => `${protocol}//`).join(' or '));
}

/** Without the value: it may hold a password. */
const wrong = (variable: string, beginnings: string) =>
  new StartError(
    'settings',
    `${variable} is not a URL that begins with ${beginnings}`,
    `Correct ${variable}, or leave it out.`,
  );

async function reach(variable: string, host: string, port: number) {
  const problem = await new Promise((resolve) => {
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port });
    const end = (reason: string | undefined) => {
      socket.destroy();
      resolve(reason);
    };
    socket.setTimeout(REACH_MS, () => end(`no answer within ${REACH_MS / 1000} s`));
    socket
      .once('connect', () => end(undefined))
      .once('error', (error) => end((error as NodeJS.ErrnoException).code ?? error.message));
  });
  if (problem)
    throw new StartError(
      'servers',
      `${host}:${port} of ${variable} can't be reached: ${problem}`,
      `Start it, or correct ${variable}.`,
    );
}
