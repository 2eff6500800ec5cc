import { join } from 'node:path';
import boundaries from 'eslint-plugin-boundaries';
import importX from 'eslint-plugin-import-x';
import reactHooks from 'eslint-plugin-react-hooks';
import ts from 'typescript-eslint';

/** Architecture as lint: who may import whom (docs/ARCHITECTURE.md, "Layout"), and what pure code may not reach for. */
const PURE = ['base', 'contracts', 'api-machinery', 'access-control', 'vm-lifecycle', 'scheduling', 'quota', 'reconcile'];
const TESTS = ['**/*.spec.ts', '**/*.spec.tsx', '**/*.testing.ts', '**/test/**', '**/src/testing/**'];
const RESOLVER = join(import.meta.dirname, 'tools/eslint-resolver.cjs');

/** Layers from the top; each may import the ones named. Within a package everything may import everything. */
const LAYERS = {
  app: ['adapter', 'ui', 'domain', 'contract', 'base'],
  ui: ['domain', 'contract', 'base'],
  adapter: ['domain', 'contract', 'base'],
  domain: ['domain', 'contract', 'base'],
  contract: ['base'],
  base: [],
  testing: ['adapter', 'domain', 'contract', 'base'],
  check: ['check', 'testing', 'adapter', 'ui', 'domain', 'contract', 'base'],
};

const libs = (...names) => names.map((name) => `libs/${name}`);
const FOLDERS = {
  base: libs('base'),
  contract: libs('contracts'),
  domain: libs('api-machinery', 'access-control', 'vm-lifecycle', 'scheduling', 'quota', 'reconcile', 'memory', 'guest-agent'),
  adapter: libs('v86-host', 'object-store', 'embedded', 'client'),
  ui: libs('ui'),
  testing: libs('testing'),
  app: ['apps/*', 'images', 'tools', 'prisma'],
  check: ['e2e', 'benchmarks'],
};

const V86 = { name: 'v86', message: 'Only libs/v86-host knows v86.' };
/** Schemas cost a process 6 MB and a tenth of a second, and a node has one process per machine. */
const LOADED_ONCE = ['zod', '@corral/contracts', '@corral/vm-lifecycle'].map((name) => ({
  name,
  allowTypeImports: true,
  message: 'VM processes load this: take @corral/contracts/for-vm-process or @corral/base/shape.',
}));

const CLOCK = [
  { selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']", message: 'Take a Clock.' },
  { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'Take a Clock.' },
  {
    selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']",
    message: 'Take randomness as an argument.',
  },
];
const ENVIRONMENT = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: 'Only a main.ts reads the environment; take a parsed setting.',
};

export default ts.config(
  {
    ignores: [
      '**/dist/**',
      '**/generated/**',
      'libs/client/src/openapi/**',
      '.nx/**',
      '.corral*/**',
      'node_modules/**',
      'test-results/**',
      'coverage/**',
    ],
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [...ts.configs.strict],
    plugins: { 'import-x': importX, boundaries },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    settings: {
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts', '.tsx'] },
      'import-x/resolver': { [RESOLVER]: {} },
      'import/resolver': { [RESOLVER]: {} },
      'boundaries/root-path': import.meta.dirname,
      'boundaries/elements': Object.entries(FOLDERS).flatMap(([type, patterns]) =>
        patterns.map((pattern) => ({ type, pattern, partialMatch: false })),
      ),
      'boundaries/files': [{ category: 'test', pattern: TESTS }],
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-restricted-imports': ['error', { paths: [V86] }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'boundaries/dependencies': [
        'error',
        {
          default: 'disallow',
          policies: [
            ...Object.entries(LAYERS).map(([from, to]) => ({
              from: { element: { type: from } },
              allow: { to: { element: { types: { anyOf: to } } } },
            })),
            // Tests may use whatever helps, except other applications.
            { from: { file: { categories: 'test' } }, allow: { to: { element: { types: { anyOf: LAYERS.check } } } } },
          ],
        },
      ],
    },
  },
  { files: ['libs/v86-host/**/*.ts'], rules: { '@typescript-eslint/no-restricted-imports': ['error', { paths: LOADED_ONCE }] } },
  {
    files: ['libs/memory/src/**/*.ts', 'libs/guest-agent/src/**/*.ts', 'apps/worker/src/vm-process/**/*.ts'],
    ignores: TESTS.concat('**/*.testing.ts'),
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { paths: [...LOADED_ONCE, V86] }] },
  },
  {
    files: ['apps/api/**/*.ts', 'apps/worker/**/*.ts'],
    // Nest reads constructor parameter types at run time, so its injectables must be value imports.
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
  {
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.ts', 'tools/src/**/*.ts', 'images/src/**/*.ts'],
    ignores: ['**/main.ts', '**/*.main.ts', 'libs/testing/**', ...TESTS],
    rules: { 'no-restricted-syntax': ['error', ENVIRONMENT] },
  },
  {
    files: PURE.map((lib) => `libs/${lib}/src/**/*.ts`),
    ignores: ['**/*.spec.ts', 'libs/base/src/clock.ts'],
    rules: { 'no-restricted-syntax': ['error', ENVIRONMENT, ...CLOCK] },
  },
  {
    files: ['apps/console/**/*.tsx', 'apps/console/**/*.ts', 'libs/ui/**/*.tsx'],
    ...reactHooks.configs.flat['recommended-latest'],
  },
  {
    files: ['**/*.spec.ts', '**/*.spec.tsx', 'e2e/**/*.ts'],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
);
