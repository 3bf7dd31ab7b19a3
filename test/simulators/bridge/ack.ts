// Bridge simulator: the answer to the POST itself, right or wrong.
import type { ServerResponse } from 'node:http';
import type { Behaviour } from './behaviour.ts';

export function ack(behaviour: Behaviour, response: ServerResponse): void {
  switch (behaviour.ack) {
    case 'refuse':
      sendJson(response, 200, { ok: false, error: behaviour.ackError });
      break;
    case 'status':
      sendJson(response, behaviour.ackStatus, { error: 'the bridge is broken' });
      break;
    case 'notJson':
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>proxy error</html>');
      break;
    case 'huge':
      sendJson(response, 200, { ok: true, pending: true, padding: 'x'.repeat(behaviour.ackBytes) });
      break;
    case 'none':
      break;
    case 'dropBefore':
    case 'dropAfter':
      response.destroy();
      break;
    default:
      sendJson(response, 200, { ok: true, pending: true });
  }
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
  response.writeHead(status, headers).end(text);
}
