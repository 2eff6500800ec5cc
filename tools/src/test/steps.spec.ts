import { readReport, type JestOutcome } from './jest-report.ts';
import { add, NOTHING, stagesOf, summary, tallyOf } from './steps.ts';

const report = {
  numPassedTests: 3,
  numFailedTests: 0,
  numPendingTests: 1,
  numTodoTests: 1,
  numRuntimeErrorTestSuites: 0,
};
const outcome = (change: object, endedWell = true): JestOutcome => ({
  type: 'Report',
  report: { ...report, ...change },
  endedWell,
});

describe('the count of npm test', () => {
  it.each([
    ['a clean run', outcome({}), '3 passed, 0 failed, 2 skipped'],
    ['failed tests', outcome({ numFailedTests: 2 }, false), '3 passed, 2 failed, 2 skipped'],
    [
      'a file that could not be loaded',
      outcome({ numRuntimeErrorTestSuites: 1 }, false),
      '3 passed, 1 failed, 2 skipped',
    ],
    ['a run that fails without a failed test', outcome({}, false), '3 passed, 1 failed, 2 skipped'],
    ['a run that left no report', readReport('/nowhere.json', false), '0 passed, 1 failed, 0 skipped'],
  ])('counts %s', (_what, run, expected) => {
    expect(summary(tallyOf(run))).toBe(expected);
  });

  it('sums over all steps', () => {
    expect(summary([tallyOf(outcome({})), { passed: 1, failed: 0, skipped: 0 }].reduce(add, NOTHING))).toBe(
      '4 passed, 0 failed, 2 skipped',
    );
  });

  it('goes from the cheapest to the dearest, and has guest images before any test boots one', () => {
    const stages = stagesOf('/', '/home').map((steps) => steps.map(({ name }) => name));
    expect(stages).toEqual([['lint', 'types', 'images', 'unit'], ['integration'], ['e2e']]);
  });
});
