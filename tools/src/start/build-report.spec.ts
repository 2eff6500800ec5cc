import { buildReport } from './build-report.ts';

const NOISE = [
  '> nx run @corral/api:build',
  '@corral/api: > @corral/api@0.1.0 build',
  '@corral/api: > npm run generate --silent && tsc -b',
  '@corral/api: (node:19615) Warning: The ‘NO_COLOR’ env is ignored',
  '@corral/api: (Use `node --trace-warnings ...` to show where the warning was created)',
  'npm warn Unknown user config "nodedir". This will stop working in the next major version of npm.',
];
const NPM = ['@corral/api: npm error Lifecycle script `build` failed with error:', '@corral/api: npm error code 1', '@corral/api: npm error path /somewhere'];
const SUMMARY = ['', ' NX   Running target build for project @corral/api failed', '', 'Failed tasks:', '', '- @corral/api:build'];

it('shows the compiler’s errors, explained, and nothing else', () => {
  const errors = [
    '@corral/api: src/a.ts(1,40): error TS2322: Type ‘string’ is not assignable to type ‘number’.',
    '@corral/api: src/a.ts(1,65): error TS2345: Argument of type ‘A’ is not assignable.',
    '@corral/api:   Types of property ‘q’ are incompatible.',
    'libs/x/src/b.ts(2,1): error TS1005: ‘;’ expected.',
    '  An outline of the reason.',
  ];
  expect(buildReport([...NOISE, ...errors, '  Run duration: 2 s'.trim(), ...NPM, ...SUMMARY].join('\n'))).toBe(errors.join('\n'));
});

it('shows the first of many errors: the others often follow from them', () => {
  const errors = Array.from({ length: 200 }, (_, index) => `@corral/api: src/a.ts(${index + 1},1): error TS2304: Cannot find name ‘x’.`);
  expect(buildReport([...errors, ...NPM].join('\n')).split('\n')).toEqual([...errors.slice(0, 30), '… and 170 lines more']);
});

it('shows the end of a build that failed for another reason, without npm’s noise', () => {
  const said = ['@corral/console: error during build:', '@corral/console: Could not resolve "./gone" from "src/main.tsx"'];
  expect(buildReport([...NOISE, ...said, ...NPM, ...SUMMARY].join('\n'))).toBe([...said, ...SUMMARY].join('\n'));
});
