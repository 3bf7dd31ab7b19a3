import { expect, test } from '@jest/globals';
import { ConfigError, describeError, errorCode, RetryableError } from './errors.ts';

test('an error and its causes are told in one line, each thing once', () => {
  const cause = new Error('connect ECONNREFUSED 127.0.0.1:5672');
  const middle = new Error('connect ECONNREFUSED 127.0.0.1:5672', { cause });
  const error = new RetryableError('broker-away', 'RabbitMQ is unreachable', { cause: middle });
  expect(describeError(error)).toBe('RabbitMQ is unreachable: connect ECONNREFUSED 127.0.0.1:5672');
});

test('an aggregate without words of its own says what its first error says', () => {
  expect(describeError(new AggregateError([new Error('::1 refused'), new Error('127.0.0.1 refused')]))).toBe(
    '::1 refused',
  );
});

test('anything can be thrown, and is told', () => {
  expect(describeError('just words')).toBe('just words');
  expect(describeError({ message: 'from another realm' })).toBe('from another realm');
  expect(describeError(undefined)).toBe('');
  expect(describeError(new Map())).toBe('Map');
  expect(describeError(Object.create(null))).toBe('object');
});

test('a cause that has no words says nothing', () => {
  const cause = { type: 'ReplicaSetNoPrimary', servers: new Map() };
  expect(describeError(new Error('connect ECONNREFUSED', { cause }))).toBe('connect ECONNREFUSED');
});

test('only errors of ours have a stable code', () => {
  expect(errorCode(new ConfigError('PORT is not set'))).toBe('config-invalid');
  expect(errorCode(new TypeError('x is not a function'))).toBe('unexpected');
});
