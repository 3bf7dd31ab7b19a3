// Builds the sender out of its parts.
import { deadQueue, exchanges, mailboxQueues } from '@pipeline/contracts';
import { type FaultPoint, Mailbox } from '@pipeline/mailbox';
import type { Logger, Service } from '@pipeline/runtime';
import { createService, prepareWecom } from '@pipeline/service';
import type { SenderConfig } from './config.ts';
import { ledgerBehaviour, ledgerEdges } from './handle-mailbox.ts';
import type { LedgerState, LedgerTypes } from './ledger/ledger-state.ts';
import { createAccountGates } from './pacing/account-gates.ts';
import { createSendConcurrency } from './pacing/send-concurrency.ts';
import { watchWaitingTexts } from './watch-waiting-texts.ts';

const PREFETCH = 200;
/**
 * Most sends take less. WeCom refuses a msgid that it has had, so that a send made twice does no harm: a user whose sender
 * was killed need not wait until it is taken for dead.
 */
const LEAVE_TO_CALLER_MS = 1_000;

export function createSender(config: SenderConfig, logger: Logger, faultPoint?: FaultPoint): Service {
  const queues = mailboxQueues('sender', config.PARTITIONS);
  return createService({
    name: 'sender',
    config,
    port: { number: config.SENDER_PORT, variable: 'SENDER_PORT' },
    uses: { exchanges: [exchanges.routerMailboxes, exchanges.senderMailboxes], queues },
    deadQueue: deadQueue('sender'),
    logger,
    build(parts) {
      const { health, metrics, replica } = parts;
      let mailbox: Mailbox<LedgerTypes> | null = null;
      health.add('mailbox', () => (mailbox ? mailbox.problem() : 'not started yet'));
      health.addDetail('partitions', () => mailbox?.held() ?? null);
      const gates = createAccountGates();
      health.add('wecom', gates.problem);
      const concurrency = createSendConcurrency();
      metrics.gaugeOf('sender_sends_at_once', 'Sends allowed at once; Inf until WeCom complains', concurrency.limit);
      const openWecom = prepareWecom(config, parts);

      return ({ store, broker, opened }) => {
        watchWaitingTexts(store, metrics);
        const wecom = openWecom({ store, opened });
        mailbox = new Mailbox<LedgerTypes>({
          service: 'sender',
          replica,
          exchange: exchanges.senderMailboxes,
          queues,
          prefetch: PREFETCH,
          leaveToCallerMs: LEAVE_TO_CALLER_MS,
          broker,
          store,
          collection: store.actors<LedgerState>('ledgers'),
          behaviour: ledgerBehaviour({
            allowance: config.SEND_ALLOWANCE,
            reserve: config.SEND_ALLOWANCE_RESERVE,
            windowMs: config.SEND_WINDOW_MS,
          }),
          edges: ledgerEdges({ store, publisher: broker, wecom, gates, concurrency, logger, metrics }),
          logger,
          metrics,
          faultPoint,
        });
        mailbox.start();
        opened(() => mailbox?.stop());
      };
    },
  });
}
