/** `npm run client`: writes the generated part of libs/client. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateClient } from './generation.ts';

const FOLDER = join(import.meta.dirname, '../../../libs/client/src/openapi');
for (const { name, text } of await generateClient()) {
  writeFileSync(join(FOLDER, name), text);
  console.log(`libs/client/src/openapi/${name}`);
}
