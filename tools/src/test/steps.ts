import { join } from 'node:path';
import type { JestOutcome } from './jest-report.ts';

export const STEP_NAMES = ['lint', 'types', 'images', 'unit', 'integration', 'e2e'] as const;
export type StepName = (typeof STEP_NAMES)[number];

/** One part of `npm test`: a program of Node, and how its outcome is counted. */
export interface Step {
  readonly name: StepName;
  readonly title: string;
  readonly args: readonly string[];
  /** A step that takes longer is ended and has failed. */
  readonly timeoutMs: number;
  /** Check: it passed or failed, and counts as one. Jest: it counts its tests. */
  readonly counts: 'Check' | 'Jest';
}

const MINUTE_MS = 60_000;
/** The default one, and the one the end-to-end tests run programs in. */
const TEST_IMAGES = ['linux-minimal', 'debian-dev'];

/** A step against nothing but hanging: a host that does much else takes several times as long as one that does not. */
const MOST_CHECK_MS = 20 * MINUTE_MS;

/** Stages one after the other, cheapest first; the steps of a stage run side by side, for each of them leaves cores idle. */
export function stagesOf(root: string, imagesHome: string): readonly (readonly Step[])[] {
  const bin = (path: string): string => join(root, 'node_modules', path);
  const jest = (project: string, maxWorkers: string): string[] => [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    bin('jest/bin/jest.js'),
    `--selectProjects=${project}`,
    `--maxWorkers=${maxWorkers}`,
    '--json',
    `--outputFile=${reportFile(root, project)}`,
  ];
  return [
    [
      {
        name: 'lint',
        title: 'Lint',
        args: [bin('eslint/bin/eslint.js'), '.', '--max-warnings', '0'],
        timeoutMs: MOST_CHECK_MS,
        counts: 'Check',
      },
      {
        name: 'types',
        title: 'Type check',
        args: [bin('typescript/bin/tsc'), '-b', '--pretty'],
        timeoutMs: MOST_CHECK_MS,
        counts: 'Check',
      },
      // What real guests boot from: made before the first test that would wait for it.
      {
        name: 'images',
        title: 'Guest images',
        args: [
          '--conditions=@corral/source',
          '--disable-warning=ExperimentalWarning',
          join(root, 'images/src/main.ts'),
          ...TEST_IMAGES,
          '--home',
          imagesHome,
        ],
        timeoutMs: MOST_CHECK_MS,
        counts: 'Check',
      },
      { name: 'unit', title: 'Unit tests', args: jest('unit', '100%'), timeoutMs: MOST_CHECK_MS, counts: 'Jest' },
    ],
    [
      {
        name: 'integration',
        title: 'Integration tests',
        args: jest('integration', '2'),
        timeoutMs: 45 * MINUTE_MS,
        counts: 'Jest',
      },
    ],
    // They share one stack, and their guests this machine's two cores.
    [
      {
        name: 'e2e',
        title: 'End-to-end tests',
        args: jest('e2e', '1'),
        timeoutMs: 25 * MINUTE_MS,
        counts: 'Jest',
      },
    ],
  ];
}

export const reportFile = (root: string, project: string): string => join(root, 'test-results', `${project}.json`);

/** How many of what a step checked passed, failed and were skipped. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };

export const add = (a: Tally, b: Tally): Tally => ({
  passed: a.passed + b.passed,
  failed: a.failed + b.failed,
  skipped: a.skipped + b.skipped,
});

export const summary = ({ passed, failed, skipped }: Tally): string =>
  `${passed} passed, ${failed} failed, ${skipped} skipped`;

/** What a Jest run says, together with how its process ended: a run that reports no failure and still fails counts as one. */
export function tallyOf(outcome: JestOutcome): Tally {
  if (outcome.type === 'NoReport') return { passed: 0, failed: 1, skipped: 0 };
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, numRuntimeErrorTestSuites } = outcome.report;
  const failed = numFailedTests + numRuntimeErrorTestSuites;
  return {
    passed: numPassedTests,
    failed: failed === 0 && !outcome.endedWell ? 1 : failed,
    skipped: numPendingTests + numTodoTests,
  };
}
