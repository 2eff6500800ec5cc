import { openSync, readFileSync, renameSync } from 'node:fs';

const TAIL_LINES = 15;

/** Opened for more to be written at its end, and readable by us alone. */
export const openLog = (logFile: string): number => openSync(logFile, 'a', 0o600);

/** Keeps the log of the run before as `<file>.old`. */
export function rotateLog(logFile: string): void {
  try {
    renameSync(logFile, `${logFile}.old`);
  } catch {
    // The first run has none.
  }
}

/** Its last lines; nothing where there is no such file. */
export function logTail(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n');
  } catch {
    return '';
  }
}
