// The POST to an instance's bridge: one attempt, a bounded answer, every failure an outcome.
import { lookup } from 'node:dns';
import { describeError, literalAddress, type Networks, refuseAddress } from '@pipeline/runtime';
import { Agent, request } from 'undici';
import { failureOf, refusalOf } from '../conversation/bridge-answer.ts';
import type { BridgeOutcome, Turn } from '../conversation/conversation-state.ts';
import type { CircuitBreakers } from './circuit-breakers.ts';

const MAX_ACK_BYTES = 256 * 1024;

/** What the bridge gets (the protocol of the old service, unchanged). */
export interface BridgeTask {
  prompt: string;
  sessionKey: string;
  idempotencyKey: string;
  timeoutSeconds: number;
  callbackUrl: string;
  callbackData: { externalUserId: string; msgId: string };
}

/** The transport failed, or what came back is no ack: what the circuit breaker counts. */
class BridgeFailure extends Error {
  readonly outcome: BridgeOutcome;

  constructor(message: string, outcome: BridgeOutcome, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'BridgeFailure';
    this.outcome = outcome;
  }
}

const FAILED: BridgeOutcome = { kind: 'ended', text: 'failed' };

export interface BridgeClient {
  /**
   * Never rejects. `detail` is for the log: what happened, without the bridge's own words. No outcome comes of a call
   * that `close` breaks off: the bridge may have taken the task, and whoever owns the conversation next asks it again.
   */
  postTask(turn: Turn, task: BridgeTask): Promise<{ outcome: BridgeOutcome; detail: string }>;
  close(): Promise<void>;
}

export function createBridgeClient(options: {
  ackTimeoutMs: number;
  allowedNetworks: Networks;
  breakers: Pick<CircuitBreakers<BridgeOutcome>, 'fire'>;
}): BridgeClient {
  const { ackTimeoutMs, allowedNetworks, breakers } = options;
  const agent = new Agent({
    connect: {
      timeout: ackTimeoutMs,
      // Checked here and not only when the instance was registered: a name may point elsewhere by now.
      lookup(hostname, lookupOptions, callback) {
        lookup(hostname, { ...lookupOptions, all: true }, (error, addresses) => {
          if (error) return callback(error, '', 0);
          const refusal = addresses
            .map(({ address }) => refuseAddress(address, allowedNetworks))
            .find((reason) => reason);
          const [first] = addresses;
          if (refusal || !first) return callback(new Error(`address refused: ${refusal ?? 'none'}`), '', 0);
          if (lookupOptions.all) return callback(null, addresses as never);
          callback(null, first.address, first.family);
        });
      },
    },
    keepAliveTimeout: 10_000,
    pipelining: 1,
  });
  let isClosed = false;

  const post = async (turn: Turn, task: BridgeTask): Promise<BridgeOutcome> => {
    const { serverHost, hostPort } = turn;
    const literal = literalAddress(serverHost);
    const refusal = literal === null ? null : refuseAddress(literal, allowedNetworks);
    if (refusal) throw new BridgeFailure(`address refused: ${refusal}`, FAILED);
    const url = `http://${literal?.includes(':') ? `[${literal}]` : serverHost}:${hostPort}/task-async`;
    const deadline = AbortSignal.timeout(ackTimeoutMs);
    try {
      const response = await request(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(task),
        dispatcher: agent,
        signal: deadline,
      });
      const text = await readBounded(response.body);
      if (response.statusCode >= 300) throw new BridgeFailure(`HTTP ${response.statusCode}`, FAILED);
      return readAck(text);
    } catch (error) {
      if (error instanceof BridgeFailure) throw error;
      if (deadline.aborted) throw new BridgeFailure(`no ack within ${ackTimeoutMs} ms`, FAILED, error);
      const words = describeError(error);
      throw new BridgeFailure(words, { kind: 'ended', text: failureOf(words) }, error);
    }
  };

  return {
    async postTask(turn, task) {
      try {
        const outcome = await breakers.fire(turn.instanceId, () => post(turn, task));
        return { outcome, detail: outcome.kind === 'acked' ? 'acked' : 'refused by the bridge' };
      } catch (error) {
        if (isClosed) return new Promise(() => {});
        if (error instanceof BridgeFailure) return { outcome: error.outcome, detail: error.message };
        if ((error as { code?: unknown }).code === 'EOPENBREAKER') return { outcome: FAILED, detail: 'circuit open' };
        return { outcome: FAILED, detail: describeError(error) };
      }
    },
    close() {
      isClosed = true;
      return agent.destroy();
    },
  };
}

async function readBounded(body: AsyncIterable<Uint8Array> & { destroy(): unknown }): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_ACK_BYTES) {
      body.destroy();
      throw new BridgeFailure(`answer over ${MAX_ACK_BYTES} bytes`, FAILED);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readAck(text: string): BridgeOutcome {
  let ack: unknown;
  try {
    ack = JSON.parse(text);
  } catch (error) {
    throw new BridgeFailure('answer is not JSON', FAILED, error);
  }
  const { ok, error } = (ack ?? {}) as { ok?: unknown; error?: unknown };
  if (ok === true) return { kind: 'acked' };
  if (ok === false) return { kind: 'ended', text: refusalOf(typeof error === 'string' ? error : '') };
  throw new BridgeFailure('answer is no ack', FAILED);
}
