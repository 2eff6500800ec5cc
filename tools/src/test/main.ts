import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { buildIfStale } from '../start/build.ts';
import { LaunchFailure } from '../start/launch-failure.ts';
import { seconds, Terminal } from '../terminal/terminal.ts';
import { ensureBrowser } from './browser.ts';
import { runStep } from './step-runner.ts';
import { add, NOTHING, STEP_NAMES, stagesOf, summary, type StepName, type Tally } from './steps.ts';

const USAGE = `Usage: npm test [-- options]

Builds, lints, type-checks and runs every test, and ends with the line "N passed, N failed, N skipped".

Options:
  --only <step>   one of ${STEP_NAMES.join(', ')}; may be given several times
  --help          this text`;

const root = resolve(import.meta.dirname, '../../..');

function chosenSteps(only: readonly string[]): ReadonlySet<string> {
  const unknown = only.find((name) => !STEP_NAMES.includes(name as StepName));
  if (unknown !== undefined)
    throw new LaunchFailure(`There is no step ${unknown}: choose from ${STEP_NAMES.join(', ')}`);
  return new Set(only.length === 0 ? STEP_NAMES : only);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true, default: [] },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const chosen = chosenSteps(values.only);
  const terminal = new Terminal(process.stdout, { colour: process.env['NO_COLOR'] === undefined });
  const environment = { ...process.env, CHECKPOINT_DISABLE: '1' };

  // Everything below reads what is generated, and the tests run what is built.
  const started = performance.now();
  const built = await buildIfStale(root, environment, terminal, new AbortController().signal);
  terminal.done('Build', built === 'UpToDate' ? 'up to date' : seconds(performance.now() - started));
  if (chosen.has('e2e')) ensureBrowser((text) => terminal.line(text));

  let total: Tally = NOTHING;
  const imagesHome = resolve(root, process.env['CORRAL_TEST_HOME'] ?? '.corral-test');
  for (const stage of stagesOf(root, imagesHome)) {
    const steps = stage.filter(({ name }) => chosen.has(name));
    if (steps.length === 0) continue;
    terminal.line(terminal.paint('bold', steps.map(({ title }) => title).join(', ')));
    const tallies = await Promise.all(
      steps.map(async (step) => {
        const begun = performance.now();
        const { tally, said } = await runStep(root, step, environment);
        const detail = `${seconds(performance.now() - begun)}${step.counts === 'Jest' ? ` (${tally.passed} of ${tally.passed + tally.failed + tally.skipped})` : ''}`;
        if (tally.failed === 0) terminal.done(step.title, detail);
        else terminal.fail(`${step.title} ${detail}${said === '' ? '' : `\n${said}`}`);
        return tally;
      }),
    );
    total = tallies.reduce(add, total);
  }
  console.log(summary(total));
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

main().then(
  (exitCode) => process.exit(exitCode),
  (error: unknown) => {
    console.error(error instanceof LaunchFailure ? error.message : error);
    console.log(summary({ ...NOTHING, failed: 1 }));
    process.exit(1);
  },
);
