// Every npm command: what it takes, and how somebody is told. Plain JavaScript, read before anything is installed.
import { parseArgs } from 'node:util';

const SERVICES = 'ingest, binder, router, sender';

/**
 * `options` as parseArgs takes them; `words`: of which the first has to be one; `isPassedOn`: another program judges the arguments.
 * @type {Record<string, { usage: string, options?: import('node:util').ParseArgsOptionsConfig, words?: string[], isPassedOn?: boolean }>}
 */
export const commands = {
  start: {
    usage: `npm start [-- --once]
  everything, until Ctrl-C: with IT0_WECOM_* set for that account, without them a demo
  --once   plays the demo's conversation and ends: 0 if it went as expected`,
    options: { once: { type: 'boolean' } },
  },
  test: {
    usage: `npm test [-- jest's arguments]
  all tests, on a RabbitMQ and a MongoDB of its own; paths and patterns choose some of them`,
    isPassedOn: true,
  },
  'test:unit': {
    usage: `npm run test:unit [-- jest's arguments]
  the pure tests alone: no server, for the working loop`,
    isPassedOn: true,
  },
  'test:compose': { usage: 'npm run test:compose\n  scales the services in containers while users talk' },
  'test:brokers': {
    usage: `npm run test:brokers [-- options]
  integration and fault tests and a short soak, on each RabbitMQ that can be had
  --home DIR          a RabbitMQ unpacked there, with sbin/rabbitmq-server in it; may be repeated (or RABBITMQ_HOME)
  --only NAME         only the one of that name: installed, a home's DIR, or a version like 4.3; may be repeated
  --soak-minutes N    3 unless told; 0 leaves the soak out`,
    options: {
      home: { type: 'string', multiple: true },
      only: { type: 'string', multiple: true },
      'soak-minutes': { type: 'string' },
    },
  },
  'test:soak': {
    usage: `npm run test:soak -- --minutes N [options]
  everything goes wrong at random, and nothing may be lost, repeated or reordered
  --seed S            repeats a run
  --users N           80 unless told
  --skip-properties   leaves the property tests out that run first`,
    options: {
      minutes: { type: 'string' },
      seed: { type: 'string' },
      users: { type: 'string' },
      'skip-properties': { type: 'boolean' },
    },
  },
  bench: {
    usage: `npm run bench [-- options]
  how fast, and at what cost
  --quick            everything much shorter, in about two minutes: to see that it works, not for figures
  --only a,b         only these scenarios
  --users N          customers of the closed loop (200)
  --json FILE        writes all results as JSON
  --write-docs       puts the results into docs/performance.md and docs/performance.svg
  --profile PROCESS  CPU profile of a service or a simulator in the closed loop`,
    options: {
      quick: { type: 'boolean' },
      only: { type: 'string' },
      users: { type: 'string' },
      json: { type: 'string' },
      'write-docs': { type: 'boolean' },
      profile: { type: 'string' },
    },
  },
  check: { usage: 'npm run check\n  format, lint and types, as CI does' },
  dlq: {
    usage: `npm run dlq -- list [--service NAME] [--state STATE]     what waits, oldest first
npm run dlq -- show ID [--body]                          everything about one; what the user wrote only with --body
npm run dlq -- replay ID | --all [--service NAME]        out again, as a new message
npm run dlq -- drop ID                                   never; its trace stays for 30 days
NAME: ${SERVICES}; STATE: waiting, replaying, replayed, dropped`,
    options: {
      all: { type: 'boolean' },
      body: { type: 'boolean' },
      service: { type: 'string' },
      state: { type: 'string' },
    },
    words: ['list', 'show', 'replay', 'drop'],
  },
};

/**
 * What can be said of a command line before anything is installed or started: help, or what is wrong with it.
 * @param {string} name @param {string[]} args
 * @returns {{ code: number, text: string } | null} null: let it run
 */
export function answerAtOnce(name, args) {
  const command = commands[name];
  if (!command) return { code: 2, text: `there is no command ${name}: ${Object.keys(commands).join(', ')}` };
  if (args.includes('--help')) return { code: 0, text: command.usage };
  if (command.isPassedOn) return null;
  try {
    const { options = {}, words } = command;
    const [word = ''] = parseArgs({ args, options, allowPositionals: words !== undefined }).positionals;
    if (!words || words.includes(word)) return null;
    return { code: 2, text: `${word || 'no word'}: none of ${words.join(', ')}\n${command.usage}` };
  } catch (error) {
    const [reason] = /** @type {Error} */ (error).message.split('. ');
    return { code: 2, text: `${reason}\n${command.usage}` };
  }
}
