// Ingest as a process.
import { createLogger, readConfig, runService } from '@pipeline/runtime';
import { ingestSettings } from './config.ts';
import { createIngest } from './service.ts';

await runService(() => {
  const config = readConfig(ingestSettings, process.env);
  const logger = createLogger({ service: 'ingest', level: config.LOG_LEVEL });
  return { service: createIngest(config, logger), logger };
});
