/** A process that leads, for tests that pause and kill it: says on stdout, with the time, when it begins and ends. */
import { Leadership } from '../src/platform/leadership/leadership.ts';

const leadership = new Leadership({ databaseUrl: process.env['DATABASE_URL'] ?? '', heartbeatMs: 100, sessionTimeoutMs: 2_000 });
leadership.whileLeading('test', async (signal) => {
  process.stdout.write('leads\n');
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  process.stdout.write('stops\n');
});
leadership.start();
process.stdin.resume().once('end', () => void leadership.stop().then(() => process.exit(0)));
