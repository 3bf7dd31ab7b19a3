// jest ─▶ the order of the test files: the long ones first, so that none of them is begun when the others are done.
// jest itself goes by what it measured last time, which a fresh clone hasn't got, else by the files' sizes.

/** Longer than 20 s, the longest first; neighbours run side by side, so two that load the machine are kept apart. */
const LONG = [
  'packages/mailbox/test/replicas',
  'packages/mailbox/test/mailbox',
  'test/faults/own-broker',
  'test/faults/frozen-replica',
  'packages/mailbox/test/deadly',
  'test/faults/short-soak',
  'test/faults/one-fault-each',
  'test/e2e/quota',
  'test/faults/kill-a-service',
  'test/faults/',
  'test/e2e/',
  '.int.test.',
];

/** @typedef {{ path: string }} Test */
const rank = (/** @type {Test} */ { path }) => {
  const found = LONG.findIndex((part) => path.includes(part));
  return found < 0 ? LONG.length : found;
};

export default class LongestFirst {
  /** @param {Test[]} tests */
  sort = (tests) => tests.toSorted((a, b) => rank(a) - rank(b) || a.path.localeCompare(b.path));
  /** @param {Test[]} tests @param {{ shardIndex: number, shardCount: number }} shard */
  shard = (tests, { shardIndex, shardCount }) =>
    this.sort(tests).filter((_, index) => index % shardCount === shardIndex - 1);
  allFailedTests = () => [];
  cacheResults = () => {};
}
