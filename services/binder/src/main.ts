// The binder as a process.
import { createLogger, readConfig, runService } from '@pipeline/runtime';
import { binderSettings } from './config.ts';
import { createBinder } from './service.ts';

await runService(() => {
  const config = readConfig(binderSettings, process.env);
  const logger = createLogger({ service: 'binder', level: config.LOG_LEVEL });
  return { service: createBinder(config, logger), logger };
});
