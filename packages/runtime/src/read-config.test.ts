import { expect, test } from '@jest/globals';
import { z } from 'zod';
import { ConfigError } from './errors.ts';
import { commonSettings, count, durationMs, findFaults, port, readConfig, text } from './read-config.ts';

const servers = { RABBITMQ_URL: 'amqp://h', MONGODB_URI: 'mongodb://h' };
const faultOf = (name: string, rule: z.ZodType, value: string) =>
  findFaults(z.object({ [name]: rule }), { [name]: value })[0];

test('what is not set, or empty, has its default', () => {
  expect(readConfig(z.object(commonSettings), { ...servers, PARTITIONS: '' })).toMatchObject({
    PARTITIONS: 24,
    BIND_ADDRESS: '127.0.0.1',
    LOG_LEVEL: 'info',
  });
});

test('every fault is named, in one line, without the value', () => {
  const read = () => readConfig(z.object(commonSettings), { RABBITMQ_URL: 'http://secret', LOG_LEVEL: 'loud' });
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(
    'RABBITMQ_URL must be a URL starting with amqp:// or amqps://; MONGODB_URI is not set; ' +
      'LOG_LEVEL must be one of trace, debug, info, warn, error, fatal, silent',
  );
});

test.each(['-1', '1.5', 'ten', '0', '65536', '1e3', '0x1f'])('a port of %s is refused with what one is', (value) => {
  expect(faultOf('A_PORT', port(1), value)).toBe('A_PORT must be a whole number from 1 to 65535');
});

test('a duration is one that a timer can wait', () => {
  expect(faultOf('A_MS', durationMs(1), '2147483648')).toBe(
    'A_MS must be a whole number of milliseconds from 1 to 2147483647',
  );
  expect(faultOf('A_MS', durationMs(1), ' 2147483647 ')).toBeUndefined();
});

test('blank is no text', () => {
  expect(faultOf('A_TOKEN', text(), ' ')).toBe('A_TOKEN must not be blank');
  expect(faultOf('A', count(5), ' ')).toBe('A must be a whole number from 1 to 1000000');
});

test('a database may have several hosts', () => {
  const several = { ...servers, MONGODB_URI: 'mongodb://u:p@a:1,b:2/db?replicaSet=rs0' };
  expect(findFaults(z.object(commonSettings), several)).toEqual([]);
});
