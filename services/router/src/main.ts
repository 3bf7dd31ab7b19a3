// The router's process.
import { faultPointOf } from '@pipeline/mailbox';
import { createLogger, readConfig, runService } from '@pipeline/runtime';
import { routerSettings } from './config.ts';
import { createRouter } from './service.ts';

await runService(() => {
  const config = readConfig(routerSettings, process.env);
  const logger = createLogger({ service: 'router', level: config.LOG_LEVEL });
  return { service: createRouter(config, logger, faultPointOf(process.env)), logger };
});
