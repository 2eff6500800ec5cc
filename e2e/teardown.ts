import { forget, isRemembered, shutDown, stack } from './stack.ts';

export default async function teardown(): Promise<void> {
  if (!isRemembered()) return;
  await shutDown(stack().launcherPid);
  forget();
}
