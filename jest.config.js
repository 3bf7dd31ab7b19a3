// Tests run the TypeScript sources as they are; @swc/jest only strips the types.
export default {
  // On two cores a third one starves those tests that measure how soon something happens.
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
