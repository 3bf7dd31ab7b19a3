// supervise.ts ─▶ a process of ours: does it answer, and if not, why?
import { connect } from 'node:net';

export type Readiness = { isReady: boolean; reason?: string };

/** Asks a URL. Ready is a 2xx answer; otherwise the reason is what the answer says. */
export async function probeHttp(url: string, headers: Record<string, string> = {}): Promise<Readiness> {
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(2000) });
    const body = await response.text();
    return response.ok
      ? { isReady: true }
      : { isReady: false, reason: reasonIn(body) || `${url} answers ${response.status}` };
  } catch (error) {
    const { cause, name } = error as Error & { cause?: NodeJS.ErrnoException };
    return { isReady: false, reason: `${url} doesn't answer (${cause?.code ?? name})` };
  }
}

/** /readyz says `{ problems: { name: reason } }`; anything else is shown as it is. */
function reasonIn(body: string) {
  try {
    const { problems } = JSON.parse(body);
    return Object.entries(problems)
      .map(([name, problem]) => `${name}: ${problem}`)
      .join('; ');
  } catch {
    return body.slice(0, 300).replaceAll(/\s+/g, ' ');
  }
}

/** Ready is whatever listens. */
export function answersTcp(port: number): Promise<Readiness> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (isReady: boolean) => {
      socket.destroy();
      resolve({ isReady, reason: `nothing listens on port ${port}` });
    };
    socket.setTimeout(2000, () => end(false));
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

/** Whether a broker answers AMQP's greeting; an open port alone may still be starting. */
export function speaksAmqp(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port }, () => socket.write('AMQP\x00\x00\x09\x01', 'latin1'));
    const end = (isAnswered: boolean) => {
      socket.destroy();
      resolve(isAnswered);
    };
    socket.setTimeout(2000, () => end(false));
    socket
      .once('data', (data) => end(data[0] === 1))
      .once('error', () => end(false))
      .once('close', () => end(false));
  });
}
