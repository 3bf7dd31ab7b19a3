// Soak ─▶ what is still under way once everybody is answered: nothing should be.
import { createManagementApi, vhostPath } from '@pipeline/broker';
import { createLogger } from '@pipeline/runtime';
import { openStore } from '@pipeline/store';
import type { Machine } from './machine.ts';
import type { Violation } from './verdict.ts';

interface Conversation {
  turn: { msgId: string } | null;
  entries: { item?: { msgId: string }; msgId?: string }[];
}
interface Ledger {
  attempt: { textId: string } | null;
  queue: { textId: string }[];
}

/** Stuck turns, texts and messages, and dead letters. */
export async function findLeftovers(machine: Machine, users: readonly string[]): Promise<Violation[]> {
  const found: Violation[] = [];
  const stuck = (user: string, msgid: string, what: string) => found.push({ kind: 'stuck', user, msgid, what });
  const store = await openStore({
    uri: machine.mongoUri,
    logger: createLogger({ service: 'soak', level: 'silent' }),
  });
  try {
    const keys = users.map((user) => `${machine.wecom.openKfId}:${user}`);
    const documentsOf = async <S>(name: 'conversations' | 'ledgers') =>
      (await Promise.all(keys.map(store.actors<S>(name).load))).filter((document) => document !== null);
    for (const { _id, state, effects } of await documentsOf<Conversation>('conversations')) {
      if (state.turn) stuck(_id, state.turn.msgId, 'a turn has not ended');
      for (const entry of state.entries) stuck(_id, entry.item?.msgId ?? entry.msgId ?? '', 'waits in the line');
      for (const { id } of effects) stuck(_id, id, 'an effect of the router has not run');
    }
    for (const { _id, state, effects } of await documentsOf<Ledger>('ledgers')) {
      for (const { textId } of state.queue) stuck(_id, textId, 'a text has not been sent');
      for (const { id } of effects) stuck(_id, id, 'an effect of the sender has not run');
    }
    for (const letter of await store.deadLetters.list(null, 1_000)) {
      const { userKey, messageId } = letter.origin;
      found.push({
        kind: 'dead-lettered',
        user: userKey ?? '',
        msgid: messageId,
        what: `${letter.code}: ${letter.reason}`,
      });
    }
  } finally {
    await store.close();
  }
  const api = createManagementApi(machine.managementUrl);
  const queues = await api.get<{ name: string; messages?: number }[]>(`/queues/${vhostPath(machine.amqpUrl)}`);
  for (const { name, messages = 0 } of queues)
    if (messages > 0) stuck('', name, `${messages} messages are left in the queue`);
  return found;
}
