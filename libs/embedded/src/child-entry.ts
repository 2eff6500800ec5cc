import { createInterface } from 'node:readline';

/**
 * The other end of `startEntry`: reads its settings, starts, says hello with what `start` resolves to, and stops when the
 * parent closes the pipe or is gone.
 */
export async function serveParent<Settings>(
  parse: (settings: unknown) => Settings,
  start: (settings: Settings) => Promise<{ hello: object; stop: () => Promise<void> }>,
): Promise<void> {
  // A Ctrl-C in the terminal is the parent's business.
  process.on('SIGINT', () => undefined);
  const lines = createInterface({ input: process.stdin });
  const settings = parse(JSON.parse((await lines[Symbol.asyncIterator]().next()).value ?? '{}'));
  let stopping: Promise<void> | undefined;
  const { hello, stop } = await start(settings);
  const end = (): void => {
    stopping ??= stop().finally(() => process.exit(0));
  };
  process.on('SIGTERM', end);
  process.stdin.on('end', end).on('close', end).on('error', end);
  process.stdin.resume();
  process.send?.(hello);
}
