/** The load generator, a process of its own: takes one job over IPC at a time, and answers with what it measured. */
import { Connection, openSocket, type Target } from './connection.ts';
import type { LoadJob, LoadResult, WatchersReady } from './job.ts';

const send = (message: LoadResult | WatchersReady): void => void process.send?.(message);

process.on('message', (job: LoadJob) => {
  const work = job.type === 'Requests' ? requests(job) : watch(job);
  work.then(send, (error: unknown) => {
    console.error(error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));

/** Each client sends its next request when it has the answer to the last one. */
async function requests(job: LoadJob & { type: 'Requests' }): Promise<LoadResult> {
  const connections = await Promise.all(Array.from({ length: job.clients }, () => Connection.open(job.target)));
  const latenciesMs: number[] = [];
  const refusals: Record<string, number> = {};
  let bytes = 0;
  let count = 0;
  const startedAt = performance.now();
  const until = startedAt + job.seconds * 1000;
  const client = async (connection: Connection): Promise<void> => {
    while (performance.now() < until) {
      const index = count;
      count += 1;
      const name = job.picks === 'Each' ? index : Math.floor(Math.random() * (job.names ?? 1));
      const body = job.body?.replaceAll('%NAME%', `${job.prefix}${name}`).replaceAll('%COUNT%', String(index));
      const sentAt = performance.now();
      const answer = await connection.request(job.method, job.path.replace('%NAME%', `${job.prefix}${name}`), body, job.contentType);
      latenciesMs.push(performance.now() - sentAt);
      bytes += answer.bodyBytes;
      if (answer.status >= 300) refusals[answer.status] = (refusals[answer.status] ?? 0) + 1;
    }
  };
  await Promise.all(connections.map(client));
  const elapsedMs = performance.now() - startedAt;
  for (const connection of connections) connection.close();
  return { type: 'Result', latenciesMs, elapsedMs, refusals, bytes };
}

const MARK = '"bench.corral.dev/sent-at":"';

/** Many watches, each on a connection of its own; ends when every watcher has seen as many events as it is told. */
async function watch(job: LoadJob & { type: 'Watch' }): Promise<LoadResult> {
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  let bytes = 0;
  const streams = await Promise.all(Array.from({ length: job.watchers }, () => openWatch(job.target, job.path)));
  const seen = Promise.all(
    streams.map(
      (socket) =>
        new Promise<void>((resolve, reject) => {
          let events = 0;
          let tail = '';
          socket.on('data', (chunk: Buffer) => {
            bytes += chunk.length;
            const now = process.hrtime.bigint();
            const text = tail + chunk.toString('latin1');
            let at = 0;
            for (;;) {
              const mark = text.indexOf(MARK, at);
              if (mark < 0 || text.indexOf('"', mark + MARK.length) < 0) {
                tail = text.slice(mark < 0 ? Math.max(at, text.length - MARK.length) : mark);
                break;
              }
              const from = mark + MARK.length;
              at = text.indexOf('"', from);
              latenciesMs.push(Number(now - BigInt(text.slice(from, at))) / 1e6);
              events += 1;
            }
            if (events >= job.events) resolve();
          });
          socket.on('close', () => reject(new Error('the server ended a watch')));
        }),
    ),
  );
  send({ type: 'Ready' });
  await seen;
  for (const socket of streams) socket.destroy();
  return { type: 'Result', latenciesMs, elapsedMs: performance.now() - startedAt, refusals: {}, bytes };
}

/** The head of the answer is awaited: from then on nothing is missed. */
async function openWatch(target: Target, path: string) {
  const socket = await openSocket(target);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: ${new URL(target.url).host}\r\nauthorization: Bearer ${target.token}\r\naccept: application/json\r\n\r\n`);
  await new Promise<void>((resolve, reject) => {
    socket.once('data', (chunk: Buffer) => (chunk.toString('latin1', 9, 12) === '200' ? resolve() : reject(new Error(chunk.toString()))));
    socket.once('close', () => reject(new Error('the server refused a watch')));
  });
  return socket;
}
