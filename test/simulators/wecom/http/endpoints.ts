// WeCom simulator: the endpoints under /cgi-bin and what each does with a call.
import { addContactWay, batchGetCustomers, listAccounts } from '../platform/directory.ts';
import { type ApiAnswer, refusal, wrongJson } from '../platform/errcodes.ts';
import type { SentRecord } from '../platform/journal.ts';
import { getMedia, uploadMedia } from '../platform/media.ts';
import { sendMsg } from '../platform/send-msg.ts';
import { sendMsgOnEvent } from '../platform/send-msg-on-event.ts';
import { getServiceState, transServiceState } from '../platform/service-state.ts';
import { type SyncAnswer, type SyncWish, syncMsg } from '../platform/sync-msg.ts';
import type { MediaFile, World } from '../platform/world.ts';

export type Call = {
  api: string;
  method: string;
  query: URLSearchParams;
  contentType: string;
  bytes: Buffer;
  /** The body, when it is a JSON object. */
  body: Record<string, unknown> | undefined;
  /** Epoch ms of this machine. */
  arrivedAt: number;
  syncWish: SyncWish;
};

export type CallResult = { answer: ApiAnswer; sync?: SyncAnswer; sent?: SentRecord; file?: MediaFile };

type Endpoint = {
  methods: string[];
  /** JSON bodies only; media/upload reads its own. */
  wantsJson: boolean;
  run(world: World, call: Call, body: Record<string, unknown>): CallResult | Promise<CallResult>;
};

const post = (run: Endpoint['run']): Endpoint => ({ methods: ['POST'], wantsJson: true, run });
const answer = (make: (world: World, body: Record<string, unknown>) => ApiAnswer) =>
  post((world, _call, body) => ({ answer: make(world, body) }));

const ENDPOINTS: Record<string, Endpoint> = {
  gettoken: {
    methods: ['GET'],
    wantsJson: false,
    run: (world, { query }) => ({
      answer: world.tokens.gettoken(query.get('corpid') ?? '', query.get('corpsecret') ?? ''),
    }),
  },
  sync_msg: post((world, call, body) => {
    const sync = syncMsg(world, body, call.syncWish);
    return { answer: sync.answer, sync };
  }),
  send_msg: post((world, call, body) => sendMsg(world, body, call.arrivedAt)),
  send_msg_on_event: post((world, call, body) => sendMsgOnEvent(world, body, call.arrivedAt)),
  'service_state/get': answer(getServiceState),
  'service_state/trans': answer(transServiceState),
  'account/list': {
    methods: ['GET', 'POST'],
    wantsJson: true,
    run: (world, _call, body) => ({ answer: listAccounts(world, body) }),
  },
  'customer/batchget': answer(batchGetCustomers),
  add_contact_way: answer(addContactWay),
  'media/upload': {
    methods: ['POST'],
    wantsJson: false,
    run: async (world, call) => ({
      answer: await uploadMedia(world, call.query.get('type') ?? '', await readForm(call)),
    }),
  },
  'media/get': {
    methods: ['GET'],
    wantsJson: false,
    run: (world, { query }) => {
      const file = getMedia(world, query.get('media_id') ?? '');
      return file === undefined ? { answer: refusal(40007) } : { answer: { errcode: 0, errmsg: 'ok' }, file };
    },
  },
};

/** The name faults and counts use: the path without `/cgi-bin/` and `kf/`. */
export function apiName(path: string): string {
  return path.replace(/^\/cgi-bin\//, '').replace(/^kf\//, '');
}

/** Token, method and JSON first, as the platform does; then the endpoint. */
export function runCall(world: World, call: Call): CallResult | Promise<CallResult> {
  const endpoint = Object.hasOwn(ENDPOINTS, call.api) ? ENDPOINTS[call.api] : undefined;
  if (endpoint === undefined) return { answer: refusal(40066) };
  if (!world.quota.take(`api:${call.api}`, world.settings.callsPerMinute)) return { answer: refusal(45009) };
  if (call.api !== 'gettoken') {
    const refused = world.tokens.check(call.query.get('access_token') ?? '');
    if (refused !== undefined) return { answer: refused };
  }
  if (!endpoint.methods.includes(call.method)) return { answer: refusal(40058) };
  if (!endpoint.wantsJson || call.method === 'GET') return endpoint.run(world, call, {});
  if (call.bytes.length === 0) return { answer: refusal(40063) };
  return call.body === undefined ? { answer: wrongJson() } : endpoint.run(world, call, call.body);
}

async function readForm(call: Call): Promise<FormData | undefined> {
  try {
    const headers = { 'content-type': call.contentType };
    return await new Response(new Uint8Array(call.bytes), { headers }).formData();
  } catch {
    // Not multipart, or broken: the same as no file.
    return undefined;
  }
}
