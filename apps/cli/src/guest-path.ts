import { posix } from 'node:path';
import { UsageError } from './usage-error.ts';

/** One side of a copy: a path here, or one in a machine's guest. */
export type CopyEnd = { readonly type: 'Local'; readonly path: string } | { readonly type: 'Guest'; readonly machine: string; readonly path: string };

/** `demo:/etc/hosts` is in the machine demo; what has a slash before the colon, or none, is here (`./a:b`). */
export function parseCopyEnd(text: string): CopyEnd {
  const match = /^([^/:]+):(.*)$/s.exec(text);
  if (!match) return { type: 'Local', path: text };
  const [, machine = '', path = ''] = match;
  if (!path.startsWith('/')) throw new UsageError(`"${text}": a path in a guest begins with a slash, as ${machine}:/${path}`);
  return { type: 'Guest', machine, path };
}

/** Where something called `name` ends up: inside the target when that is a folder, else as the target itself. */
export function destinationOf(target: string, name: string, isFolder: boolean): string {
  return isFolder || target.endsWith('/') ? posix.join(target, name) : target;
}
