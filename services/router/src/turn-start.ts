// What a user is told when their message's turn has come and there is nobody to take it.
import { render, type TextKey } from '@pipeline/texts';
import type { Destination } from './conversation-state.ts';

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
