// Builds the binder out of its parts.
import { randomBytes } from 'node:crypto';
import { BINDER_QUEUE, deadQueue, exchanges } from '@pipeline/contracts';
import { jsonBody, type Logger, type Service } from '@pipeline/runtime';
import { createService } from '@pipeline/service';
import { bindCodeApi } from './bind-code-api.ts';
import { createBindUser } from './bind-user.ts';
import { CODE_BYTES, formatCode } from './binding-rules.ts';
import type { BinderConfig } from './config.ts';
import { createMatchConsumer, type MatchConsumer } from './consume-matches.ts';
import { createMatchHandler } from './handle-binding-matched.ts';
import { instanceRules } from './instance-fields.ts';
import { instancesApi } from './instances-api.ts';
import { requireToken } from './require-token.ts';

export function createBinder(config: BinderConfig, logger: Logger): Service {
  return createService({
    name: 'binder',
    config,
    port: { number: config.BINDER_PORT, variable: 'BINDER_PORT' },
    uses: { exchanges: [exchanges.routerMailboxes, exchanges.senderMailboxes], queues: [BINDER_QUEUE] },
    deadQueue: deadQueue('binder'),
    logger,
    build({ app, health, metrics, store }) {
      let consumer: MatchConsumer | null = null;
      health.add('consumer', () => (consumer ? consumer.problem() : 'not started yet'));
      const { CODE_TTL_MS: codeTtlMs, IT0_WECOM_KF_URL: kfUrl } = config;
      const drawCode = () => formatCode(randomBytes(CODE_BYTES));
      app.use('/api', requireToken(config.ADMIN_API_TOKEN), jsonBody());
      app.use('/api/v1/agent/instances', instancesApi(store, instanceRules(config.BRIDGE_ALLOWED_NETWORKS)));
      app.use('/api/v1/agent/channels/wecom/bind', bindCodeApi(store, { codeTtlMs, kfUrl, drawCode }));

      return ({ store, broker, opened }) => {
        const { bindingCodes } = store;
        const matches = createMatchHandler({ bindingCodes, bindUser: createBindUser(store), publisher: broker });
        consumer = createMatchConsumer({ broker, store, matches, logger, metrics });
        consumer.start();
        opened(consumer.stop);
      };
    },
  });
}
