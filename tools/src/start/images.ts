import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readBuiltImage, registerImage, type BuiltImage } from '@corral/client';
import { z } from 'zod';
import { progressBar, seconds, type Terminal } from '../terminal/terminal.ts';
import { runChild } from './child.ts';
import { LaunchFailure } from './launch-failure.ts';

export const DEFAULT_IMAGE = 'linux-minimal';

/** What `images --json-progress` writes, one per line. */
const ProgressLine = z.union([
  z.object({ step: z.string(), done: z.number(), total: z.number(), unit: z.enum(['bytes', 'files', 'steps']) }),
  z.object({ note: z.string() }),
]);

/** Builds the default image where it is missing or stale. A failure matters only when there is none from before. */
export async function ensureDefaultImage(
  root: string,
  home: string,
  environment: NodeJS.ProcessEnv,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<void> {
  const name = `Image`;
  const started = performance.now();
  terminal.doing(name, `${DEFAULT_IMAGE}: looking`);
  let built = false;
  const { exitCode, errors } = await runChild(
    {
      args: [
        '--conditions=@corral/source',
        '--disable-warning=ExperimentalWarning',
        join(root, 'images/src/main.ts'),
        DEFAULT_IMAGE,
        '--json-progress',
        '--home',
        home,
      ],
      cwd: root,
      environment,
    },
    (line) => {
      const progress = parseProgress(line);
      if (!progress || !('step' in progress)) return;
      built ||= progress.unit === 'bytes';
      terminal.doing(name, `${progress.step}  ${progressBar(progress.done, progress.total, progress.unit)}`);
    },
    signal,
  );
  if (exitCode === 0) {
    const { artifacts, kernelFlavor } = await readBuiltImage(builtImageFile(home, DEFAULT_IMAGE));
    const bytes = Object.values(artifacts).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const state = built ? `built in ${seconds(performance.now() - started)}` : 'up to date';
    terminal.done(name, `${DEFAULT_IMAGE}, ${(bytes / 2 ** 20).toFixed(1)} MiB, ${kernelFlavor} kernel, ${state}`);
    return;
  }
  if (signal.aborted) throw signal.reason;
  if (!existsSync(builtImageFile(home, DEFAULT_IMAGE)))
    throw new LaunchFailure(`The image ${DEFAULT_IMAGE} could not be built:\n${errors}`);
  terminal.idle(name);
  terminal.warn(
    `The image ${DEFAULT_IMAGE} could not be brought up to date; the last one is used: ${errors.split('\n')[0] ?? ''}`,
  );
}

/** Makes everything built under this home known to the API. One that fails does not keep the others. */
export async function registerImages(
  home: string,
  baseUrl: string,
  token: string,
  terminal: Terminal,
): Promise<readonly BuiltImage[]> {
  const images: BuiltImage[] = [];
  const folder = join(home, 'images');
  for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
    const file = builtImageFile(home, name);
    if (!existsSync(file)) continue;
    try {
      const image = await readBuiltImage(file);
      await registerImage(image, { baseUrl, token });
      images.push(image);
    } catch (error) {
      if (name === DEFAULT_IMAGE) throw error;
      terminal.warn(
        `The image ${name} could not be registered: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  return images;
}

/** Describes the image as it was last built; there once it was. */
export const builtImageFile = (home: string, name: string): string => join(home, 'images', name, 'current.json');

function parseProgress(line: string): z.output<typeof ProgressLine> | undefined {
  try {
    return ProgressLine.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
