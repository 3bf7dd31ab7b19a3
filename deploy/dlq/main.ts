// npm run dlq ─▶ the dead letters of a running system: looked at, replayed, dropped. See docs/operations.md.
import { parseArgs } from 'node:util';
import { createBroker } from '@pipeline/broker';
import { commonSettings, createLogger, describeError, PermanentError, readConfig, sleep } from '@pipeline/runtime';
import { type DeadLetter, type DeadLetterState, openStore, type Store } from '@pipeline/store';
import { z } from 'zod';
import { createReplay } from './replay.ts';

const REACH_MS = 10_000;
const LIST_LIMIT = 10_000;
const SERVICES = ['ingest', 'binder', 'router', 'sender'];
const STATES: DeadLetterState[] = ['waiting', 'replaying', 'replayed', 'dropped'];
const EXIT_USAGE = 2;
const USAGE = `npm run dlq -- list [--service NAME] [--state STATE]     what waits, oldest first
npm run dlq -- show ID [--body]                          everything about one; what the user wrote only with --body
npm run dlq -- replay ID | --all [--service NAME]        out again, as a new message
npm run dlq -- drop ID                                   never; its trace stays for 30 days
NAME: ${SERVICES.join(', ')}; STATE: ${STATES.join(', ')}`;

class UsageError extends Error {}

const logger = createLogger({ service: 'dlq', level: 'silent' });
const say = (line: string) => process.stdout.write(`${line}\n`);
const complain = (line: string) => process.stderr.write(`${line}\n`);

function readCommand(args: string[]) {
  const options = {
    all: { type: 'boolean' },
    body: { type: 'boolean' },
    service: { type: 'string' },
    state: { type: 'string' },
  } as const;
  let parsed: ReturnType<typeof parseArgs<{ options: typeof options; allowPositionals: true }>>;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
  const { values } = parsed;
  const [verb = '', id, ...rest] = parsed.positionals;
  const { service = null, state } = values;
  const takes: Record<string, string[]> = {
    list: ['service', 'state'],
    show: ['body'],
    replay: ['all', 'service'],
    drop: [],
  };
  const allowed = takes[verb];
  if (!allowed) throw new UsageError(verb ? `unknown command ${verb}` : 'no command given');
  const foreign = Object.keys(values).find((name) => !allowed.includes(name));
  if (foreign) throw new UsageError(`${verb} takes no --${foreign}`);
  if (rest.length > 0) throw new UsageError(`one at a time: ${rest.join(' ')}`);
  if (service !== null && !SERVICES.includes(service)) throw new UsageError(`there is no service ${service}`);
  if (state !== undefined && !STATES.includes(state as DeadLetterState))
    throw new UsageError(`there is no state ${state}`);
  const wantsId = verb !== 'list' && !values.all;
  if (wantsId && id === undefined)
    throw new UsageError(`${verb} needs the ID of a dead letter${verb === 'replay' ? ', or --all' : ''}`);
  if (!wantsId && id !== undefined) throw new UsageError(`${id}: not with ${verb === 'list' ? 'list' : '--all'}`);
  if (service !== null && verb === 'replay' && !values.all) throw new UsageError('--service goes with --all');
  return {
    verb,
    id: id ?? '',
    service,
    states: state ? [state as DeadLetterState] : undefined,
    isBodyShown: values.body === true,
  };
}

async function list(store: Store, service: string | null, states?: DeadLetterState[]) {
  const letters = await store.deadLetters.list(service, LIST_LIMIT, states);
  for (const { _id, state, code, attempts, replays, lastAt, origin } of letters)
    say([_id, origin.type, code, `attempts ${attempts}`, `replays ${replays}`, state, lastAt.toISOString()].join('  '));
  say(letters.length === LIST_LIMIT ? `the oldest ${LIST_LIMIT}; there are more` : `${letters.length} in all`);
}

function show({ body, ...letter }: DeadLetter, isBodyShown: boolean) {
  say(
    JSON.stringify({ ...letter, ...(isBodyShown ? { body } : { bodyBytes: Buffer.byteLength(body ?? '') }) }, null, 2),
  );
}

/** @returns whether all are out */
async function replay(store: Store, url: string, ids: string[]): Promise<boolean> {
  const broker = await createBroker({ url, name: 'dlq', logger });
  try {
    for (let waitedMs = 0; broker.problem() !== null; waitedMs += 50) {
      if (waitedMs > REACH_MS) throw new Error(`RabbitMQ (RABBITMQ_URL): ${broker.problem()}`);
      await sleep(50);
    }
    const replayOne = createReplay({ store, publisher: broker });
    let failed = 0;
    for (const id of ids) {
      try {
        await replayOne(id);
        say(`${id}: replayed`);
      } catch (error) {
        failed++;
        complain(`${id}: ${describeError(error)}`);
        if (!(error instanceof PermanentError)) break; // the next one would meet the same
      }
    }
    return failed === 0;
  } finally {
    await broker.close();
  }
}

async function run(): Promise<boolean> {
  const { verb, id, service, states, isBodyShown } = readCommand(process.argv.slice(2));
  const { RABBITMQ_URL: rabbitmqUrl, MONGODB_URI: uri } = readConfig(
    z.object({ RABBITMQ_URL: commonSettings.RABBITMQ_URL, MONGODB_URI: commonSettings.MONGODB_URI }),
    process.env,
  );
  const signal = AbortSignal.timeout(REACH_MS);
  const store = await openStore({ uri, logger, signal }).catch((error) => {
    throw signal.aborted ? new Error('MongoDB (MONGODB_URI) does not answer') : error;
  });
  try {
    if (store.problem() !== null) throw new Error(`MongoDB: ${store.problem()}`);
    if (verb === 'list') await list(store, service, states);
    else if (id === '') {
      const letters = await store.deadLetters.list(service, LIST_LIMIT);
      if (letters.length === 0) say('no dead letters');
      return (
        letters.length === 0 ||
        (await replay(
          store,
          rabbitmqUrl,
          letters.map(({ _id }) => _id),
        ))
      );
    } else {
      const letter = await store.deadLetters.find(id);
      if (!letter) throw new Error(`there is no dead letter ${id}`);
      if (verb === 'show') show(letter, isBodyShown);
      else if (verb === 'replay') return await replay(store, rabbitmqUrl, [id]);
      else if (await store.deadLetters.drop(id)) say(`${id}: dropped`);
      else throw new Error(`${id} is not waiting any more: ${letter.state}`);
    }
    return true;
  } finally {
    await store.close();
  }
}

try {
  process.exitCode = (await run()) ? 0 : 1;
} catch (error) {
  const isUsage = error instanceof UsageError;
  complain(`dlq: ${describeError(error)}${isUsage ? `\n\n${USAGE}` : ''}`);
  process.exitCode = isUsage ? EXIT_USAGE : 1;
}
