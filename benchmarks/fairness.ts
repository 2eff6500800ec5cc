/**
 * `npm run bench:fairness`: what one noisy tenant costs another. A quiet tenant sends requests at a steady pace, alone and
 * while a noisy one sends as many as it can, in turns; told is the ratio of the quiet one's p99. With --open the server
 * shares nothing out, for comparison.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { count, flag, programOptions } from '@corral/testing';
import { Connection, type Target } from './api/connection.ts';
import type { LoadJob, LoadResult } from './api/job.ts';
import { startOwnStack } from './api/own-stack.ts';

const { clients, seconds, rounds, open } = programOptions('npm run bench:fairness', {
  clients: count(50, 'clients of the noisy tenant'),
  seconds: count(4, 'how long each turn is'),
  rounds: count(4, 'turns'),
  open: flag('the server shares nothing out'),
});
/** The quiet tenant: this many connections, each with a request every so often. */
const QUIET_CLIENTS = 4;
const QUIET_EVERY_MS = 40;
let sent = 0;

const UNSHARED = { CORRAL_USER_REQUESTS_PER_SECOND: '0', CORRAL_REQUEST_SEATS: '10000' };
const stack = await startOwnStack({ profile: false, env: open ? UNSHARED : {} });
const generator: ChildProcess = fork(path.join(import.meta.dirname, 'api/load.ts'), { execArgv: process.execArgv });
try {
  const quiet = await tenant('quiet');
  const noisy = await tenant('noisy');
  await measureQuiet(quiet, 1);
  const alone: number[] = [];
  const together: number[] = [];
  let [noise, refused] = [0, 0];
  for (let round = 0; round < rounds; round += 1) {
    alone.push(...(await measureQuiet(quiet, seconds)));
    const job: LoadJob = {
      type: 'Requests', target: noisy, clients, seconds: seconds + 1, method: 'POST', path: '/api/v1/namespaces/noisy/secrets', contentType: 'application/json', prefix: `s-${round}-`, picks: 'Each',
      body: JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: '%NAME%' }, stringData: { padding: 'x'.repeat(600) } }),
    };
    generator.send(job);
    await delay(500);
    together.push(...(await measureQuiet(quiet, seconds)));
    const [result] = (await once(generator, 'message')) as [LoadResult];
    noise += result.latenciesMs.length / (result.elapsedMs / 1000) / rounds;
    refused += Object.values(result.refusals).reduce((sum, count) => sum + count, 0);
    await delay(1_500);
  }
  const [before, during] = [percentile(alone, 0.99), percentile(together, 0.99)];
  console.log(`a quiet tenant, ${QUIET_CLIENTS} clients, one request in ${QUIET_EVERY_MS} ms each, half of them creates${open ? '; nothing is shared out' : ''}`);
  console.log(`  alone                    p50 ${percentile(alone, 0.5).toFixed(1)} ms  p99 ${before.toFixed(1)} ms  (${alone.length} requests)`);
  console.log(`  beside a noisy tenant    p50 ${percentile(together, 0.5).toFixed(1)} ms  p99 ${during.toFixed(1)} ms  (${together.length} requests)`);
  console.log(`  the noisy one: ${clients} clients that never pause, ${noise.toFixed(0)} requests/s answered, ${refused} refused`);
  console.log(`  ratio of p99: ${(during / before).toFixed(2)} (bar: below 2)`);
} finally {
  generator.kill();
  await stack.stop();
}

/** A namespace with a service account that may edit it, and how it asks. */
async function tenant(name: string): Promise<Target> {
  const admin = await Connection.open(stack.target);
  const post = async (where: string, body: object): Promise<string> => {
    const answer = await admin.request('POST', where, JSON.stringify(body), 'application/json', true);
    if (answer.status !== 201) throw new Error(`${where}: ${answer.status} ${answer.text ?? ''}`);
    return answer.text ?? '';
  };
  await post('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await post(`/api/v1/namespaces/${name}/serviceaccounts`, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'robot' } });
  await post(`/apis/rbac.authorization.k8s.io/v1/namespaces/${name}/rolebindings`, {
    apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'robot' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' }, subjects: [{ kind: 'ServiceAccount', name: 'robot', namespace: name }],
  });
  const { status } = JSON.parse(await post(`/api/v1/namespaces/${name}/serviceaccounts/robot/token`, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} })) as { status: { token: string } };
  admin.close();
  return { url: stack.target.url, token: status.token };
}

/** Milliseconds each request took, from when it was due: one that waits for its predecessor has begun to wait then. */
async function measureQuiet(target: Target, forSeconds: number): Promise<number[]> {
  const latenciesMs: number[] = [];
  const until = performance.now() + forSeconds * 1000;
  const client = async (index: number): Promise<void> => {
    const connection = await Connection.open(target);
    for (let dueAt = performance.now() + (index * QUIET_EVERY_MS) / QUIET_CLIENTS; dueAt < until; dueAt += QUIET_EVERY_MS) {
      await delay(Math.max(0, dueAt - performance.now()));
      const startedAt = Math.max(dueAt, performance.now() - QUIET_EVERY_MS);
      sent += 1;
      const answer =
        sent % 2 === 0
          ? await connection.request('GET', '/api/v1/namespaces/quiet/secrets?limit=10')
          : await connection.request('POST', '/api/v1/namespaces/quiet/secrets', JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: `q-${sent}` } }));
      if (answer.status >= 300) throw new Error(`the quiet tenant was refused: ${answer.status}`);
      latenciesMs.push(performance.now() - startedAt);
    }
    connection.close();
  };
  await Promise.all(Array.from({ length: QUIET_CLIENTS }, (_, index) => client(index)));
  return latenciesMs;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}
