import { spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { readReport } from './jest-report.ts';
import { reportFile, tallyOf, type Step, type Tally } from './steps.ts';

const POLL_MS = 500;
/** Jest that has written its report and is still there has left something open. */
const LINGER_MS = 30_000;

export interface StepOutcome {
  readonly tally: Tally;
  /** What a check printed, which is of interest when it failed; of Jest nothing, which prints as it goes. */
  readonly said: string;
}

/** Runs one step and counts it. Others may run beside it, so that of a check's output nothing is shown before it is over. */
export async function runStep(root: string, step: Step, environment: NodeJS.ProcessEnv): Promise<StepOutcome> {
  const report = reportFile(root, step.name);
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const { endedWell, said } = await run(root, step, environment, report);
  if (step.counts === 'Jest') return { tally: tallyOf(readReport(report, endedWell)), said };
  return { tally: { passed: endedWell ? 1 : 0, failed: endedWell ? 0 : 1, skipped: 0 }, said };
}

async function run(
  root: string,
  step: Step,
  environment: NodeJS.ProcessEnv,
  report: string,
): Promise<{ readonly endedWell: boolean; readonly said: string }> {
  const logFile = report.replace(/\.json$/, '.log');
  const log = openSync(logFile, 'w');
  const child = spawn(process.execPath, step.args, {
    cwd: root,
    env: environment,
    // Jest writes its JSON to the file and, told to, to standard output: people read the other.
    stdio: step.counts === 'Jest' ? ['ignore', 'ignore', 'inherit'] : ['ignore', log, log],
  });
  closeSync(log);
  const begun = performance.now();
  let reportedAt: number | undefined;
  let complaint: string | undefined;
  const watch = setInterval(() => {
    const now = performance.now();
    if (reportedAt === undefined && existsSync(report)) reportedAt = now;
    if (now - begun > step.timeoutMs) complaint = `${step.title} took more than ${step.timeoutMs / 60_000} minutes`;
    else if (reportedAt !== undefined && now - reportedAt > LINGER_MS)
      complaint = `${step.title} ended, but something kept Jest open`;
    if (complaint !== undefined) child.kill('SIGKILL');
  }, POLL_MS);
  const exitCode = await new Promise<number>((resolve) => {
    child.once('error', () => resolve(-1));
    child.once('exit', (code) => resolve(code ?? -1));
  });
  clearInterval(watch);
  if (complaint !== undefined) console.error(complaint);
  return { endedWell: exitCode === 0, said: readFileSync(logFile, 'utf8').trimEnd() };
}
