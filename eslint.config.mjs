import boundaries from 'eslint-plugin-boundaries';
import importX from 'eslint-plugin-import-x';
import reactHooks from 'eslint-plugin-react-hooks';
import ts from 'typescript-eslint';

/** Architecture as lint: who may import whom (docs/ARCHITECTURE.md, "Layout"), and what pure code may not reach for. */
const PURE = ['base', 'contracts', 'api-machinery', 'vm-lifecycle', 'scheduling', 'reconcile'];

export default ts.config(
  { ignores: ['**/dist/**', '**/generated/**', '.nx/**', '.corral/**', 'node_modules/**'] },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [...ts.configs.strict],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/no-extraneous-class': 'off',
      '@typescript-eslint/no-non-null-assertion': 'error',
      'no-restricted-imports': ['error', { paths: [{ name: 'v86', message: 'Only libs/v86-host knows v86.' }] }],
    },
  },
  { files: ['libs/v86-host/**/*.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: ['apps/api/**/*.ts', 'apps/worker/**/*.ts'],
    // Nest reads constructor parameter types at run time, so its injectables must be value imports.
    rules: { '@typescript-eslint/consistent-type-imports': 'off' },
  },
  {
    files: PURE.map((lib) => `libs/${lib}/src/**/*.ts`),
    ignores: ['**/*.spec.ts', 'libs/base/src/clock.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        { selector: "CallExpression[callee.object.name='Date'][callee.property.name='now']", message: 'Take a Clock.' },
        { selector: 'NewExpression[callee.name="Date"][arguments.length=0]', message: 'Take a Clock.' },
        { selector: "CallExpression[callee.object.name='Math'][callee.property.name='random']", message: 'Take randomness as an argument.' },
      ],
    },
  },
  {
    files: ['**/*.ts', '**/*.tsx'],
    plugins: { boundaries },
    settings: {
      'boundaries/elements': [
        { type: 'base', pattern: 'libs/base' },
        { type: 'contract', pattern: 'libs/contracts' },
        { type: 'domain', pattern: 'libs/(api-machinery|vm-lifecycle|scheduling|reconcile|memory|guest-agent)' },
        { type: 'adapter', pattern: 'libs/(v86-host|object-store|embedded|client)' },
        { type: 'ui', pattern: 'libs/ui' },
        { type: 'testing', pattern: 'libs/testing' },
        { type: 'app', pattern: '(apps/*|images|tools)' },
      ],
    },
  },
  { files: ['apps/console/**/*.tsx', 'apps/console/**/*.ts', 'libs/ui/**/*.tsx'], ...reactHooks.configs.flat['recommended-latest'] },
  { files: ['**/*.spec.ts', 'e2e/**/*.ts'], rules: { '@typescript-eslint/no-non-null-assertion': 'off' } },
);
