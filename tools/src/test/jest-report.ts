import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';

/** The counts of Jest's `--json`. Source: Jest documentation, "--json" and `AggregatedResult`. */
const JestReport = z.object({
  numPassedTests: z.number(),
  numFailedTests: z.number(),
  numPendingTests: z.number(),
  numTodoTests: z.number(),
  /** Files that could not be loaded: none of their tests was counted. */
  numRuntimeErrorTestSuites: z.number(),
});

export type JestOutcome =
  | { readonly type: 'Report'; readonly report: z.output<typeof JestReport>; readonly endedWell: boolean }
  /** Jest ended before it could write one. */
  | { readonly type: 'NoReport' };

export function readReport(file: string, endedWell: boolean): JestOutcome {
  if (!existsSync(file)) return { type: 'NoReport' };
  try {
    return { type: 'Report', report: JestReport.parse(JSON.parse(readFileSync(file, 'utf8'))), endedWell };
  } catch {
    return { type: 'NoReport' };
  }
}
