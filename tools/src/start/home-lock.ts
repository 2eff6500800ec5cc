import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { LaunchFailure } from './launch-failure.ts';
import { findProcess } from './process-table.ts';

/**
 * Takes a home folder for this process, so that two launchers never share one. A lock whose process is gone is taken over.
 * Answers what gives it back.
 */
export function lockHome(home: string): () => void {
  const file = join(home, 'launcher.lock');
  const identity = `${process.pid} ${findProcess(process.pid)?.startTime ?? ''}`;
  for (let attempt = 0; attempt < 3; attempt++) {
    if (createExclusively(file, identity)) return () => rmSync(file, { force: true });
    const holder = readIfThere(file);
    const [pid = '', startTime = ''] = holder.split(' ');
    // The start time tells a process from a later one that was given the same pid.
    if (pid !== '' && findProcess(Number(pid))?.startTime === startTime) {
      throw new LaunchFailure(
        `Corral already runs on ${home} (process ${pid}): stop it, or set CORRAL_HOME to another folder`,
      );
    }
    rmSync(file, { force: true });
  }
  throw new LaunchFailure(`${file} changes all the time: is another launcher starting?`);
}

function createExclusively(file: string, content: string): boolean {
  try {
    const descriptor = openSync(file, 'wx', 0o600);
    writeSync(descriptor, content);
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}
