// The sender's process.
import { faultPointOf } from '@pipeline/mailbox';
import { createLogger, readConfig, runService } from '@pipeline/runtime';
import { senderSettings } from './config.ts';
import { createSender } from './service.ts';

await runService(() => {
  const config = readConfig(senderSettings, process.env);
  const logger = createLogger({ service: 'sender', level: config.LOG_LEVEL });
  return { service: createSender(config, logger, faultPointOf(process.env)), logger };
});
