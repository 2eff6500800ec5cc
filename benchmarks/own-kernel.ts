import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { readBuiltImage } from '@corral/client';
import { oneOf } from '@corral/testing';

const DEFAULT_IMAGE = 'linux-minimal';
const ROOT = path.resolve(import.meta.dirname, '..');

export const kernelOption = oneOf(['own', 'found'], 'own', 'own: our own kernel, which the bars are for, built where there is none; found: whatever the images have');

/** Which kernel the guests of this home run: Debian's, or our own, which does not tick. */
export async function kernelFlavor(home: string): Promise<string> {
  const file = path.join(home, 'images', DEFAULT_IMAGE, 'current.json');
  return existsSync(file) ? (await readBuiltImage(file)).kernelFlavor : 'none yet';
}

/** Sees to it that guests of this home run the kernel that was asked for. Building our own takes minutes, once; progress is shown. */
export async function prepareKernel(home: string, asked: 'own' | 'found'): Promise<void> {
  if (asked === 'found' || (await kernelFlavor(home)) === 'tickless') return;
  console.log('The bars are for our own kernel, which is built now: some minutes, once (--kernel found measures the images as they are).');
  for (const name of ['kernel', DEFAULT_IMAGE]) {
    const build = spawn(process.execPath, ['--conditions=@corral/source', '--disable-warning=ExperimentalWarning', 'images/src/main.ts', name, '--home', home], { cwd: ROOT, stdio: 'inherit' });
    const [code] = (await once(build, 'exit')) as [number | null];
    if (code !== 0) throw new Error(`the ${name} could not be built; --kernel found goes without it`);
  }
}
