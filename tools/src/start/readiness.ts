import { setTimeout as sleep } from 'node:timers/promises';
import type { HttpObjectClient } from '@corral/client';
import {
  findCondition,
  leases,
  NODE_LEASE_NAMESPACE,
  nodes,
  Problem,
  virtualMachineImages,
  type VirtualMachineImage,
} from '@corral/contracts';
import type { Running } from './child.ts';
import { LaunchFailure } from './launch-failure.ts';

const POLL_MS = 100;
const API_TIMEOUT_MS = 60_000;
const NODE_TIMEOUT_MS = 60_000;

/** Resolves when the API answers that it can serve; fails when its process ends before. */
export async function untilServing(baseUrl: string, api: Running, signal: AbortSignal): Promise<void> {
  let ended: string | undefined;
  void api.ended.then((how) => {
    ended = how;
  });
  await until('The API', API_TIMEOUT_MS, signal, async () => {
    if (ended !== undefined) throw new LaunchFailure(`The API ended before it was ready (${ended})`);
    try {
      return (await fetch(`${baseUrl}/readyz`, { signal: AbortSignal.timeout(2_000) })).ok;
    } catch {
      return false;
    }
  });
}

/** Resolves when a worker that was started after `since` renews its lease and its Node is Ready. */
export async function untilNodeReady(
  client: HttpObjectClient,
  name: string,
  since: Date,
  signal: AbortSignal,
): Promise<void> {
  await until(`Worker ${name}`, NODE_TIMEOUT_MS, signal, async () => {
    const [node, lease] = await Promise.all([
      client.get(nodes, undefined, name),
      client.get(leases, NODE_LEASE_NAMESPACE, name),
    ]);
    // The Node object of an earlier run says Ready too, until someone notices.
    const isAlive = lease?.spec?.renewTime !== undefined && new Date(lease.spec.renewTime) >= since;
    return isAlive && findCondition(node?.status?.conditions, 'Ready')?.status === 'True';
  });
}

export type BakeOutcome = { readonly type: 'Baked' } | { readonly type: 'NotBaked'; readonly why: string };

/** Waits for the golden snapshot of an image; answers why there is none when its time is over. */
export async function untilBaked(
  client: HttpObjectClient,
  name: string,
  timeoutMs: number,
  onChange: (state: string) => void,
  signal: AbortSignal,
): Promise<BakeOutcome> {
  const deadline = performance.now() + timeoutMs;
  let why = 'the image controller has not looked at it';
  for (;;) {
    const image = await findImage(client, name);
    const [ready, baked] = [
      findCondition(image?.status?.conditions, 'Ready'),
      findCondition(image?.status?.conditions, 'Baked'),
    ];
    if (ready?.status === 'True' && baked?.status === 'True') return { type: 'Baked' };
    const blocking = ready?.status === 'True' ? baked : ready;
    if (blocking) {
      why = `${blocking.reason}${blocking.message ? `: ${blocking.message}` : ''}`;
      onChange(why);
    }
    if (performance.now() > deadline) return { type: 'NotBaked', why };
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** Undefined too while the API is being started again. */
async function findImage(client: HttpObjectClient, name: string): Promise<VirtualMachineImage | undefined> {
  try {
    return await client.get(virtualMachineImages, undefined, name);
  } catch (error) {
    if (error instanceof Problem && error.code === 'dependency.unavailable') return undefined;
    throw error;
  }
}

async function until(
  what: string,
  timeoutMs: number,
  signal: AbortSignal,
  isTrue: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await isTrue())) {
    if (performance.now() > deadline) throw new LaunchFailure(`${what} was not ready after ${timeoutMs / 1000} s`);
    await sleep(POLL_MS, undefined, { signal });
  }
}
