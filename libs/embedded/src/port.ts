import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';

/** The port this file remembers where it is still free, else another free one. */
export async function rememberedPort(file: string): Promise<number> {
  const remembered = Number.parseInt(readIfThere(file) ?? '', 10);
  const port = (await freePort(Number.isInteger(remembered) ? remembered : 0)) ?? (await freePort(0));
  if (port === undefined) throw new Error('No TCP port is free on 127.0.0.1');
  writeFileSync(file, `${port}\n`);
  return port;
}

function freePort(wanted: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(wanted, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
