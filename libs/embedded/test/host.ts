import { startObjectStore } from '../src/object-store.ts';
import { startPostgres } from '../src/postgres.ts';
import { startRedis } from '../src/redis.ts';

/** A process of which tests end the life: it starts everything in the folder it is given and says where. */
const [, , home = ''] = process.argv;
const [postgres, redis, store] = await Promise.all([
  startPostgres({ home, durability: 'Test' }),
  startRedis({ home, engine: 'Bundled' }),
  startObjectStore({ home, durability: 'Test' }),
]);
console.log(JSON.stringify([postgres.url, redis.url, store.url]));
process.stdin.resume().on('end', () => {
  void Promise.all([postgres.stop(), redis.stop(), store.stop()]).then(() => process.exit(0));
});
