import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { readBuiltImage, registerImage } from '@corral/client';
import { Problem } from '@corral/contracts';
import { z } from 'zod';

/** Makes the images built below CORRAL_HOME known to an API elsewhere: what `npm start` does, for deployments without it. */
const Environment = z.object({
  CORRAL_API_URL: z.url({ protocol: /^https?$/, error: 'must be an http(s) URL' }),
  CORRAL_ADMIN_TOKEN: z.string('must be set').min(16, 'must have at least 16 characters'),
  CORRAL_HOME: z.string().min(1).default('.corral'),
});

async function main(): Promise<void> {
  const parsed = Environment.safeParse(process.env);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Problem('request.malformed', `${String(issue?.path[0])}: ${issue?.message ?? 'is not valid'}`);
  }
  const { CORRAL_API_URL: baseUrl, CORRAL_ADMIN_TOKEN: token, CORRAL_HOME: home } = parsed.data;
  const folder = resolve(home, 'images');
  for (const name of existsSync(folder) ? readdirSync(folder).sort() : []) {
    const file = join(folder, name, 'current.json');
    if (!existsSync(file)) continue;
    const image = await readBuiltImage(file);
    await registerImage(image, { baseUrl, token });
    console.log(`${image.name} is registered`);
  }
}

main().catch((error: unknown) => {
  console.error(error instanceof Problem ? error.message : error);
  process.exitCode = 1;
});
