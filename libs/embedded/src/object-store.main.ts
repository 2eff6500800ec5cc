import { z } from 'zod';
import { serveParent } from './child-entry.ts';
import { S3Server } from './s3/server.ts';

const Settings = z.object({
  folder: z.string(),
  port: z.number().int(),
  accessKeyId: z.string(),
  secretAccessKey: z.string(),
  durability: z.enum(['Full', 'Test']),
});

await serveParent(
  (settings) => Settings.parse(settings),
  async (settings) => {
    const server = await S3Server.start(settings);
    return { hello: { url: server.url }, stop: () => server.stop() };
  },
);
