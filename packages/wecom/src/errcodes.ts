// What WeCom's answer codes mean to us, in one table: the class decides what happens next, the hint what to fix.
// Source: developer.work.weixin.qq.com/document/path/90313 (global error codes), 94670 and 94677 (KF messages).

/**
 * - `token`: the access token has to be renewed; the client does so once by itself.
 * - `retryable`: the same call may work later.
 * - `waiting`: only the customer's next message makes it work.
 * - `configuration`: an operator has to change a setting here or in WeCom's console.
 * - `permanent`: the same call never works.
 */
export type ErrcodeClass = 'token' | 'retryable' | 'waiting' | 'configuration' | 'permanent';

export interface ErrcodeEntry {
  class: ErrcodeClass;
  meaning: string;
  /** What an operator should do. */
  hint: string;
}

const NOTHING = 'Nothing to do: handled by itself.';
const REPORT = 'Report it with the log line: the service sent a request that WeCom refuses.';

const table: ReadonlyArray<readonly [code: number, kind: ErrcodeClass, meaning: string, hint: string]> = [
  [-1, 'retryable', 'WeCom is busy', NOTHING],
  [
    40001,
    'configuration',
    'wrong secret, or the app is disabled',
    'Correct the app secret (each wrong try counts towards an hour-long block of this IP), check that the app is enabled, then restart.',
  ],
  [40007, 'permanent', 'unknown or expired media_id', 'Upload the media again: it lives for 3 days.'],
  [40013, 'configuration', 'wrong corp id', 'Correct the corp id, then restart.'],
  [40014, 'token', 'access token not valid', NOTHING],
  [40058, 'permanent', 'a parameter is wrong or too long, or the HTTP method is', REPORT],
  [40063, 'permanent', 'a required parameter is empty', REPORT],
  [
    40096,
    'permanent',
    'external_userid not valid',
    'The customer is unknown to this corp: check that messages come from the same corp.',
  ],
  [
    40201,
    'permanent',
    'text blocked as sensitive or spam',
    'Look at what the agent wrote; the text is in the dead letters.',
  ],
  [41001, 'permanent', 'access token missing from the call', REPORT],
  [41002, 'permanent', 'corp id missing from the call', 'Set the corp id.'],
  [41004, 'permanent', 'secret missing from the call', 'Set the app secret.'],
  [42001, 'token', 'access token expired', NOTHING],
  [44004, 'permanent', 'the text is empty', REPORT],
  [45002, 'permanent', 'the text or the file is too large', REPORT],
  [
    45009,
    'retryable',
    'call quota exceeded',
    'Handled by itself; if it comes back, look for another user of the same corp and lower WECOM_QUOTA_PER_MINUTE.',
  ],
  [45033, 'retryable', 'too many calls of this API at once', NOTHING],
  [45035, 'retryable', 'two writes to the same object at once', NOTHING],
  [
    48002,
    'configuration',
    'the app may not call this API',
    'Add the app to the callable apps of customer service in the WeCom console.',
  ],
  [
    48007,
    'configuration',
    'the KF account is not granted to the app',
    'Hand the KF account over to API management for this app.',
  ],
  [50003, 'configuration', 'the app is disabled', 'Enable the app in the WeCom console.'],
  [
    60020,
    'configuration',
    'the calling IP is not trusted',
    "Add this host's public IP to the app's trusted IPs; it takes a minute to apply.",
  ],
  [
    60030,
    'configuration',
    'servicers are outside of the visible range of the app',
    "Add the account's servicers to the app's visible range.",
  ],
  [95000, 'permanent', 'open_kfid is malformed', 'Correct the KF account id.'],
  [95001, 'waiting', 'the five messages after the last customer message are used up', NOTHING],
  [95002, 'waiting', 'the last customer message is older than 48 hours', NOTHING],
  [95003, 'permanent', 'consultation limit of an unverified corp', 'Verify the corp in the WeCom console.'],
  [
    95004,
    'configuration',
    'the KF account does not exist in this corp',
    'Correct the KF account id, or create the account anew.',
  ],
  [95005, 'permanent', 'too many KF accounts', 'Delete KF accounts that are not used.'],
  [95006, 'permanent', 'name of the KF account not valid', 'Choose another name for the account.'],
  [95007, 'permanent', 'token of the callback is stale or wrong', NOTHING],
  [95008, 'permanent', 'the menu has too many entries', REPORT],
  [95009, 'permanent', 'the menu has an entry of an unknown type', REPORT],
  [
    95011,
    'configuration',
    'customer service is managed in WeCom, the app is of the standalone edition',
    'Use the secret of an app of this corp.',
  ],
  [
    95012,
    'configuration',
    'customer service is of the standalone edition, the app is managed in WeCom',
    'Use the secret of the standalone edition, or move customer service to WeCom.',
  ],
  [95013, 'waiting', 'the session has ended', NOTHING],
  [95014, 'permanent', 'no servicer, or not activated', 'Check the servicers of the KF account.'],
  [95015, 'permanent', 'dedicated service is already set in the console', 'Change it in the WeCom console.'],
  [95016, 'permanent', 'this change of the session state is not allowed', REPORT],
  [
    95017,
    'configuration',
    'the API switch of the KF account is off',
    'Turn the API on for the KF account in the WeCom console.',
  ],
  [
    95018,
    'waiting',
    'the state of the session forbids sending, or 48 hours have passed',
    'If a human servicer has taken the session, end it there.',
  ],
  [95019, 'permanent', 'the servicer has stopped serving', 'Let the servicer go online again.'],
  [95020, 'permanent', 'too many servicers', 'Remove servicers from the KF account.'],
  [95022, 'permanent', 'location_type not valid', REPORT],
  [
    95023,
    'configuration',
    'the API switch is given to another type of app',
    'Hand the KF account over to this app in the WeCom console.',
  ],
  [95026, 'permanent', 'the accounts are used too little for more of them', 'Delete KF accounts that are not used.'],
  [95027, 'permanent', 'an unverified corp may have ten KF accounts', 'Verify the corp in the WeCom console.'],
  [95030, 'permanent', 'the KF component forbids this type of message', REPORT],
  [95031, 'permanent', 'no consultation within 48 hours', 'Nothing can be sent before the customer writes.'],
  [95032, 'permanent', 'the permission for chat records has lapsed', 'Renew it in the WeCom console.'],
  [95033, 'permanent', 'msgid used before', NOTHING],
];

/** Every code we know of, by its number. */
export const errcodes: ReadonlyMap<number, ErrcodeEntry> = new Map(
  table.map(([code, kind, meaning, hint]) => [code, { class: kind, meaning, hint }]),
);

/** What a code means; one that isn't in the table is permanent. */
export function describeErrcode(errcode: number): ErrcodeEntry {
  return (
    errcodes.get(errcode) ?? {
      class: 'permanent',
      meaning: 'unknown code',
      hint: `Look it up: https://open.work.weixin.qq.com/devtool/query?e=${errcode}`,
    }
  );
}
