import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { readReport } from './jest-report.ts';
import { reportFile, tallyOf, type Step, type Tally } from './steps.ts';

const POLL_MS = 500;
/** Jest that has written its report and is still there has left something open. */
const LINGER_MS = 30_000;

/** Runs one step with its output on ours and counts it. */
export async function runStep(root: string, step: Step, environment: NodeJS.ProcessEnv): Promise<Tally> {
  const report = reportFile(root, step.name);
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const endedWell = await run(root, step, environment, report);
  if (step.counts === 'Check') return { passed: endedWell ? 1 : 0, failed: endedWell ? 0 : 1, skipped: 0 };
  return tallyOf(readReport(report, endedWell));
}

async function run(root: string, step: Step, environment: NodeJS.ProcessEnv, report: string): Promise<boolean> {
  const child = spawn(process.execPath, step.args, {
    cwd: root,
    env: environment,
    // Jest writes its JSON to the file and, told to, to standard output: people read the other.
    stdio: ['ignore', step.counts === 'Jest' ? 'ignore' : 'inherit', 'inherit'],
  });
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
  return exitCode === 0;
}
