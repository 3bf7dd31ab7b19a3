// Tests run the TypeScript sources as they are; @swc/jest only strips the types.
export default {
  // End-to-end tests mostly wait for processes of their own, so more of them than cores run side by side.
  maxWorkers: 3,
  extensionsToTreatAsEsm: ['.ts'],
  moduleFileExtensions: ['ts', 'mjs', 'js', 'json', 'node'],
  testEnvironment: 'node',
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['/node_modules/', '/.local/'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'esnext' } }] },
};
