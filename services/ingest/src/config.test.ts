import { describe, expect, test } from '@jest/globals';
import { findFaults } from '@pipeline/runtime';
import { ingestSettings } from './config.ts';

const settings = {
  RABBITMQ_URL: 'amqp://h',
  MONGODB_URI: 'mongodb://h',
  IT0_WECOM_CORP_ID: 'ww1',
  IT0_WECOM_KF_SECRET: 's',
  IT0_WECOM_KF_OPEN_KFID: 'wk1',
};
const faults = (changes: object) => findFaults(ingestSettings, { ...settings, ...changes });
const AES_KEY = 'jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C';

describe('the callback’s token and key', () => {
  test('are both set, or neither', () => {
    expect(faults({})).toEqual([]);
    expect(faults({ IT0_WECOM_CALLBACK_TOKEN: 't', IT0_WECOM_CALLBACK_AES_KEY: AES_KEY })).toEqual([]);
    expect(faults({ IT0_WECOM_CALLBACK_TOKEN: 't' })).toEqual([
      'IT0_WECOM_CALLBACK_AES_KEY is not set, but IT0_WECOM_CALLBACK_TOKEN is',
    ]);
    expect(faults({ IT0_WECOM_CALLBACK_AES_KEY: AES_KEY })).toEqual([
      'IT0_WECOM_CALLBACK_TOKEN is not set, but IT0_WECOM_CALLBACK_AES_KEY is',
    ]);
  });

  test.each([AES_KEY.slice(1), `${AES_KEY}=`, `${AES_KEY.slice(1)}-`])('%s is no key of WeCom’s', (key) => {
    expect(faults({ IT0_WECOM_CALLBACK_TOKEN: 't', IT0_WECOM_CALLBACK_AES_KEY: key })).toEqual([
      'IT0_WECOM_CALLBACK_AES_KEY must be the 43 letters and digits of WeCom’s EncodingAESKey',
    ]);
  });
});
