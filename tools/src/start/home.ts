import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { lockHome } from './home-lock.ts';
import { LaunchFailure } from './launch-failure.ts';

/** Makes the home folder where there is none and takes it for this process; answers what gives it back. Throws LaunchFailure naming the variable. */
export function openHome(home: string): () => void {
  try {
    makeFolder(home);
    accessSync(home, constants.R_OK | constants.W_OK | constants.X_OK);
    return lockHome(home);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    throw new LaunchFailure(`CORRAL_HOME: ${home} cannot be used (${String(error.code)})`, { cause: error });
  }
}

/** One folder at a time: where a file system takes no folders, such as /proc, Node's recursive mkdir never ends. */
function makeFolder(path: string): void {
  if (isFolder(path)) return;
  makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

function isFolder(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found && !found.isDirectory()) throw Object.assign(new Error(`${path} is no folder`), { code: 'ENOTDIR' });
  return found !== undefined;
}
