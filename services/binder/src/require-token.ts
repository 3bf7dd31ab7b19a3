// Operator's request ─▶ binder: nothing under /api without the token.
import { createHash, timingSafeEqual } from 'node:crypto';
import { HttpError } from '@pipeline/runtime';
import type { RequestHandler } from 'express';

/** Lets a request pass that carries `Authorization: Bearer <token>`; any other is answered 401. */
export function requireToken(token: string): RequestHandler {
  const expected = digest(token);
  return (request, response, next) => {
    const [, given = ''] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? [];
    // Digests have one length, so comparing takes one time whatever was given.
    if (timingSafeEqual(digest(given), expected)) return next();
    response.set('WWW-Authenticate', 'Bearer');
    throw new HttpError(401, 'unauthorized', 'a valid bearer token is required');
  };
}

const digest = (text: string) => createHash('sha256').update(text).digest();
