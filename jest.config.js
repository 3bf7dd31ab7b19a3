// Tests run the TypeScript sources as they are; @swc/jest only strips the types.
export default {
  // Half of each end-to-end test is four services starting: more side by side only makes all of them slow.
  maxWorkers: 2,
  testSequencer: './test/support/longest-first.mjs',
  // An upper bound for a busy machine, never a measure: tests wait for conditions.
  testTimeout: 120_000,
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'mjs', 'js', 'json', 'node'],
  testEnvironment: 'node',
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/.local/'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'esnext' } }] },
};
