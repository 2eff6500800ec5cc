/** Three sizes of test, told apart by name: `*.spec.ts` (pure, ms), `*.int.spec.ts` (real servers), `e2e/*.e2e.spec.ts` (real guests). */
const project = (displayName, testMatch, extra = {}) => ({
  displayName,
  rootDir: import.meta.dirname,
  testMatch,
  testEnvironment: 'node',
  setupFiles: ['<rootDir>/tools/jest.setup.mjs'],
  extensionsToTreatAsEsm: ['.ts', '.tsx'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2024',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true },
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
    // Pure code of the console and its library shares modules with components.
    '^.+\\.tsx$': ['@swc/jest', { jsc: { target: 'es2024', parser: { syntax: 'typescript', tsx: true }, transform: { react: { runtime: 'automatic' } } }, module: { type: 'es6' } }],
  },
  testEnvironmentOptions: { customExportConditions: ['@corral/source', 'node', 'node-addons'] },
  modulePathIgnorePatterns: ['<rootDir>/.*/dist/', '<rootDir>/.corral'],
  watchPathIgnorePatterns: ['<rootDir>/.corral'],
  ...extra,
});

export default {
  testSequencer: '<rootDir>/tools/jest.sequencer.mjs',
  projects: [
    project('unit', ['<rootDir>/{apps,libs}/*/src/**/*.spec.ts', '<rootDir>/{images,tools}/src/**/*.spec.ts'], {
      testPathIgnorePatterns: ['\\.int\\.spec\\.ts$', '/node_modules/', '/dist/'],
    }),
    project('integration', ['<rootDir>/{apps,libs}/*/src/**/*.int.spec.ts', '<rootDir>/{images,tools}/src/**/*.int.spec.ts'], {
      setupFilesAfterEnv: ['<rootDir>/tools/jest.integration.mjs'],
    }),
    project('e2e', ['<rootDir>/e2e/**/*.e2e.spec.ts'], {
      globalSetup: '<rootDir>/e2e/setup.ts',
      globalTeardown: '<rootDir>/e2e/teardown.ts',
      setupFilesAfterEnv: ['<rootDir>/e2e/timeout.mjs'],
    }),
  ],
};
