import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { LaunchFailure } from './launch-failure.ts';

const Secrets = z.object({
  adminToken: z.string().min(16),
  nodeToken: z.string().min(16),
});
export type Secrets = Readonly<z.output<typeof Secrets>>;

/** The secrets of this home, made up at the first start. Only their owner can read the file. */
export function loadSecrets(home: string): Secrets {
  const file = join(home, 'secrets.json');
  const text = readIfThere(file);
  if (text !== undefined) {
    const parsed = Secrets.safeParse(parseJson(text));
    // Making new ones up would lock out every client that was given the old ones.
    if (!parsed.success)
      throw new LaunchFailure(`${file} is damaged: restore it, or remove it to have new tokens made`);
    return parsed.data;
  }
  const secret = (): string => randomBytes(24).toString('base64url');
  const secrets = { adminToken: secret(), nodeToken: secret() };
  writePrivately(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

/** Writes a file that only its owner can read, whole or not at all. */
export function writePrivately(file: string, content: string): void {
  writeFileSync(`${file}.new`, content, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
