// The next message's turn has come: its task, or what the user is told when there is nobody to take it.
import { render, type TextKey } from '@pipeline/texts';
import type { ConversationDraft } from './conversation-draft.ts';
import type { Destination } from './conversation-state.ts';

/** Starts the turn of the first message in the line, with the binding and the instance as they are now. */
export function startTurn(draft: ConversationDraft, destination: Destination) {
  const { now, settings } = draft;
  const [head, ...rest] = draft.state.entries;
  if (draft.state.turn || head?.status !== 'accepted') return;
  const { msgId, renewal } = head;
  const reply = replyInsteadOfTurn(destination);
  const { instance } = destination;
  if (reply || !instance) {
    draft.patch({ entries: rest });
    if (reply) draft.say(msgId, reply.key, 'answer', reply.content, renewal);
    return;
  }
  const copied = {
    instanceId: instance.id,
    instanceName: instance.name,
    serverHost: instance.serverHost,
    hostPort: instance.hostPort,
  };
  draft.patch({ entries: rest });
  draft.dispatch({
    ...copied,
    msgId,
    prompt: head.text,
    attempt: 1,
    remindAt: now + settings.thinkingReminderMs,
    deadline: null,
  });
  draft.say(msgId, 'thinking', 'courtesy', render('thinking'), renewal);
}

/** The reply that ends the turn before it began, or null if the instance can be called. */
export function replyInsteadOfTurn({ isBound, instance }: Destination): { key: TextKey; content: string } | null {
  if (!isBound || !instance) return { key: 'unbound', content: render('unbound') };
  const { name, status, serverHost } = instance;
  switch (status) {
    case 'running':
      return serverHost === '' ? { key: 'noHost', content: render('noHost') } : null;
    case 'stopped':
      return { key: 'stopped', content: render('stopped', { name }) };
    case 'starting':
      return { key: 'starting', content: render('starting', { name }) };
    case 'error':
      return { key: 'error', content: render('error', { name }) };
    default:
      return { key: 'otherStatus', content: render('otherStatus', { name, status }) };
  }
}
