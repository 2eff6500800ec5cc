import { access, constants } from 'node:fs/promises';
import path from 'node:path';
import { Problem } from '@corral/contracts';

/** sbin is not on an ordinary user's PATH, but mke2fs lives there. */
const FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/** Where a program is, or undefined. */
export async function findOnPath(tool: string): Promise<string | undefined> {
  for (const folder of FOLDERS) {
    const file = path.join(folder, tool);
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  return undefined;
}

/** Names, in one message, every tool that is missing and the packages that have them. */
export async function requireTools(purpose: string, packageOf: Readonly<Record<string, string>>): Promise<void> {
  const missing: string[] = [];
  for (const tool of Object.keys(packageOf)) if ((await findOnPath(tool)) === undefined) missing.push(tool);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((tool) => packageOf[tool]))].join(' ');
  throw new Problem(
    'dependency.unavailable',
    `${purpose} needs ${missing.join(', ')}. Install with: apt-get install ${packages}`,
  );
}
