// WeCom simulator: everything that happens as Server-Sent Events, for the chat page.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Journal, JournalEvent } from '../platform/journal.ts';

const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
const HEARTBEAT_MS = 15_000;

/**
 * Streams events after `?after=` or `Last-Event-ID`; when those are no longer kept, one `resync` tells the
 * page to load its state anew. A reader that falls 8 MiB behind is disconnected and comes back by itself.
 */
export function streamEvents(journal: Journal, request: IncomingMessage, response: ServerResponse): void {
  const header = request.headers['last-event-id'];
  const query = new URLSearchParams((request.url ?? '').split('?', 2)[1] ?? '');
  const after = Number(header ?? query.get('after') ?? journal.lastEventSeq());
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=UTF-8',
    'cache-control': 'no-store',
    connection: 'keep-alive',
  });
  response.write('retry: 1000\n\n');
  const write = (event: JournalEvent) => {
    if (response.writableLength > MAX_BUFFERED_BYTES) response.destroy();
    else response.write(`id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  };
  const missed = journal.eventsAfter(Number.isInteger(after) ? after : journal.lastEventSeq());
  if (missed === undefined) write({ seq: journal.lastEventSeq(), type: 'resync', at: Date.now() });
  else for (const event of missed) write(event);

  const stop = journal.listen(write);
  const heartbeat = setInterval(() => response.write(': still here\n\n'), HEARTBEAT_MS);
  response.on('close', () => {
    clearInterval(heartbeat);
    stop();
  });
}
