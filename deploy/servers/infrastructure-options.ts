// What each way to get RabbitMQ and MongoDB is given, and what it returns.
import type { createPortPicker } from '../processes/free-port.ts';
import type { Run } from '../processes/run-command.ts';
import type { StartError } from '../processes/start-error.ts';

export type Infrastructure = {
  rabbitmqUrl: string;
  managementUrl: string;
  mongodbUri: string;
  way: string;
  stop: () => Promise<void>;
};
export type InfrastructureOptions = {
  run: Run;
  env: NodeJS.ProcessEnv;
  /** for data, when the servers are local */
  directory: string;
  logs: string;
  ports: ReturnType<typeof createPortPicker>;
  /** nobody needs the data afterwards */
  isThrowaway: boolean;
  onFatal: (error: StartError) => void;
  /** a string says why not */
  startInDocker: (options: InfrastructureOptions) => Promise<Infrastructure | string>;
};
