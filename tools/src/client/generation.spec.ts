import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateClient } from './generation.ts';

const FOLDER = join(import.meta.dirname, '../../../libs/client/src/openapi');

it('the client in the tree is what the API says now: else run `npm run client`', async () => {
  for (const { name, text } of await generateClient()) expect(readFileSync(join(FOLDER, name), 'utf8')).toBe(text);
});
