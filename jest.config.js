// Tests run the TypeScript sources as they are; @swc/jest only strips the types.
export default {
  // For two cores: most of these tests wait most of their time, for brokers to start and for time to pass.
  maxWorkers: 3,
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
