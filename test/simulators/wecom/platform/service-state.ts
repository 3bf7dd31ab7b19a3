// WeCom simulator: the state of a customer's session, moved by the API or by humans in the WeCom client.
import { type ApiAnswer, accepted, refusal } from './errcodes.ts';
import { addEvent } from './inbound.ts';
import { issueEventCode } from './send-msg-on-event.ts';
import { type Account, type Customer, describeCustomer, type SessionState, type World } from './world.ts';

/** Moves the API allows; those out of 4 are the customer's or a human's alone. */
const API_MOVES: Record<SessionState, readonly SessionState[]> = {
  0: [1, 2, 3, 4],
  1: [2, 3, 4],
  2: [3, 4],
  3: [3, 4],
  4: [],
};

export function getServiceState(world: World, body: Record<string, unknown>): ApiAnswer {
  const found = findCustomer(world, body);
  if ('errcode' in found) return refusal(found.errcode);
  const { customer } = found;
  const servicer = customer.session === 3 ? { servicer_userid: customer.servicerUserId ?? '' } : {};
  return accepted({ service_state: customer.session, ...servicer });
}

export function transServiceState(world: World, body: Record<string, unknown>): ApiAnswer {
  const found = findCustomer(world, body);
  if ('errcode' in found) return refusal(found.errcode);
  const { customer } = found;
  const state = body.service_state;
  if (!isState(state)) return refusal(40058);
  if (!API_MOVES[customer.session].includes(state)) return refusal(95016);
  const servicer = body.servicer_userid;
  if (state === 3 && (typeof servicer !== 'string' || !world.servicers.has(servicer))) return refusal(95014);

  const wasFirstMove = customer.session !== state;
  moveSession(world, customer, state, typeof servicer === 'string' ? servicer : undefined);
  const kind = state === 2 ? 'queued' : state === 3 ? 'taken' : 'ended';
  if (state < 2 || !wasFirstMove) return accepted();
  return accepted({ msg_code: codeFor(world, customer, kind) });
}

/** What a human does in the WeCom client; unlike moves by the API it raises session_status_change. */
export function moveSessionByHuman(
  world: World,
  account: Account,
  customer: Customer,
  state: SessionState,
  servicerUserId: string,
): void {
  const before = customer.session;
  const oldServicer = customer.servicerUserId ?? servicerUserId;
  moveSession(world, customer, state, servicerUserId);
  if (state < 3) return;
  const change = state === 4 ? 3 : before === 3 ? 2 : before === 4 ? 4 : 1;
  addEvent(world, account, {
    event_type: 'session_status_change',
    external_userid: customer.externalUserId,
    change_type: change,
    ...(change === 1 ? {} : { old_servicer_userid: oldServicer }),
    ...(change === 3 ? {} : { new_servicer_userid: servicerUserId }),
    ...(change === 1 ? { msg_code: codeFor(world, customer, 'taken') } : {}),
    ...(change === 3 ? { msg_code: codeFor(world, customer, 'ended') } : {}),
  });
}

function moveSession(world: World, customer: Customer, state: SessionState, servicer: string | undefined): void {
  customer.session = state;
  customer.servicerUserId = state === 3 ? servicer : undefined;
  world.journal.emit('session', world.clock.realMs(), { customer: describeCustomer(world, customer) });
}

function codeFor(world: World, customer: Customer, kind: 'queued' | 'taken' | 'ended'): string {
  const { openKfId, externalUserId, session } = customer;
  return issueEventCode(world, { kind, openKfId, externalUserId, session });
}

function findCustomer(
  world: World,
  body: Record<string, unknown>,
): { account: Account; customer: Customer } | { errcode: number } {
  const { open_kfid: openKfId, external_userid: externalUserId } = body;
  if (typeof openKfId !== 'string' || typeof externalUserId !== 'string') return { errcode: 40058 };
  if (!openKfId.startsWith('wk')) return { errcode: 95000 };
  const account = world.accounts.get(openKfId);
  if (account === undefined) return { errcode: 95004 };
  const customer = account.customers.get(externalUserId);
  return customer === undefined ? { errcode: 40096 } : { account, customer };
}

function isState(value: unknown): value is SessionState {
  return typeof value === 'number' && [0, 1, 2, 3, 4].includes(value);
}
