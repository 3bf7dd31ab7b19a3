// Who an event belongs to: one WeChat user at one KF account. The routing key of every mailbox.

export interface User {
  openKfId: string;
  externalUserId: string;
}

/** `<openKfId>:<externalUserId>`. KF account ids (`wk…`) hold no colon. */
export function userKeyOf(user: User): string {
  return `${user.openKfId}:${user.externalUserId}`;
}

/** The inverse of {@link userKeyOf}. */
export function parseUserKey(userKey: string): User {
  const colon = userKey.indexOf(':');
  return { openKfId: userKey.slice(0, colon), externalUserId: userKey.slice(colon + 1) };
}
