// What users write, and tokens, stay out of the servers' own logs.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Connection, createConnection } from 'mongoose';
import { GenericContainer } from 'testcontainers';
import { createPortPicker } from '../deploy/processes/free-port.ts';
import { IMAGES } from '../deploy/servers/docker-engine.ts';
import { findMongod } from '../deploy/servers/install-mongodb.ts';
import { SILENT_ARGUMENTS, startMongodb } from '../deploy/servers/local-mongodb.ts';
import { ROOT } from './support/service-process.ts';

const SECRET = '只有我和我的助手知道的话';
const directory = mkdtempSync(join(tmpdir(), 'server-logs-'));
let mongod: { uri: string; log(): Promise<string>; stop(): Promise<unknown> };
let database: Connection;

beforeAll(async () => {
  const program = findMongod();
  mongod = program ? await startLocal(program) : await startContainer();
  database = await createConnection(mongod.uri).asPromise();
}, 180_000);
afterAll(async () => {
  await database?.close();
  await mongod?.stop();
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

async function startLocal(program: string) {
  const server = await startMongodb({
    run: { records: { add: () => {}, remove: () => {} }, signal: new AbortController().signal },
    program,
    directory,
    logs: directory,
    ports: createPortPicker(),
    isThrowaway: true,
    onFatal: (error) => {
      throw error;
    },
  });
  await server.whenReady();
  return { uri: server.uri, log: async () => readFileSync(join(directory, 'mongodb.log'), 'utf8'), stop: server.stop };
}

async function startContainer() {
  const container = await new GenericContainer(IMAGES[1] ?? '')
    .withCommand(['--bind_ip_all', ...SILENT_ARGUMENTS])
    .withExposedPorts(27_017)
    .start();
  return {
    uri: `mongodb://${container.getHost()}:${container.getMappedPort(27_017)}/logs?directConnection=true`,
    async log() {
      const stream = await container.logs();
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      return Buffer.concat(chunks).toString();
    },
    stop: () => container.stop(),
  };
}

const write = () => database.collection('ledgers').updateOne({}, { $set: { text: SECRET } }, { upsert: true });
/** From now on every operation is a slow one. */
const slow = (settings = {}) => database.db?.command({ profile: 0, slowms: -1, ...settings });

test('mongod logs no operation, however slow', async () => {
  await slow();
  await write();
  expect(await mongod.log()).not.toContain(SECRET);
  // … and a mongod that is started otherwise would log it.
  await slow({ sampleRate: 1 });
  await write();
  expect(await mongod.log()).toContain(SECRET);
}, 60_000);

test('the containers’ mongod is started the same way', () => {
  const compose = readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8')
    .replaceAll(/#.*$/gm, '')
    .replaceAll(/\s+/g, ' ');
  expect(compose).toContain('--slowOpSampleRate, "0", --quiet');
  for (const image of IMAGES) expect(compose).toContain(`image: ${image}`);
});
