import { Problem } from '@corral/contracts';
import type { ApiObject, resources, ResourceClient } from '@corral/client';
import { setTimeout as pause } from 'node:timers/promises';
import { conditionOf, describeCondition, isReady, type Conditioned } from './conditions.ts';
import type { Step } from './screen.ts';

type VirtualMachine = resources.VirtualMachine;

const POLL_MS = 1_000;

/**
 * Waits until the object is Ready, telling meanwhile what it waits for. Refuses with `wait.timed-out`, in words that say
 * how far it came, and stops waiting for what cannot become Ready any more.
 */
export async function waitUntilReady<T extends ApiObject & Conditioned>(
  client: ResourceClient<T>,
  key: { readonly namespace: string; readonly name: string },
  options: {
    readonly timeoutMs: number;
    readonly signal: AbortSignal;
    readonly step: Step;
    isOver?(object: T): boolean;
    /** What is waited for, where that is not Ready. */
    isEnough?(object: T): boolean;
  },
): Promise<T> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = AbortSignal.any([options.signal, deadline]);
  const isEnough = options.isEnough ?? isReady;
  let last: T | undefined;
  while (!signal.aborted) {
    const list = await client.list({ namespace: key.namespace, fieldSelector: `metadata.name=${key.name}` });
    last = list.items[0];
    if (!last) throw new Problem('object.not-found', `"${key.name}" was deleted before it was ready`);
    if (isEnough(last) || options.isOver?.(last)) return last;
    options.step.say(describeWait(key.name, last));
    try {
      for await (const { type, object } of client.watch({ namespace: key.namespace, fieldSelector: `metadata.name=${key.name}`, resourceVersion: list.resourceVersion, signal })) {
        if (type === 'BOOKMARK') continue;
        if (type === 'DELETED') throw new Problem('object.not-found', `"${key.name}" was deleted before it was ready`);
        last = object;
        if (isEnough(last) || options.isOver?.(last)) return last;
        options.step.say(describeWait(key.name, last));
      }
    } catch (error) {
      // A server that restarts is no reason to give up before the time is over.
      if (!(error instanceof Problem) || (error.code !== 'dependency.unavailable' && error.code !== 'version.expired')) throw error;
      await pause(POLL_MS, undefined, { signal }).catch(() => undefined);
    }
  }
  if (options.signal.aborted) throw options.signal.reason;
  throw new Problem('wait.timed-out', `${describeWait(key.name, last)}: gave up after ${Math.round(options.timeoutMs / 1_000)} s`);
}

/** What it waits for, in the words of the conditions: the first thing that is not so, and why. */
function describeWait(name: string, object: Conditioned | undefined): string {
  const waiting = ['Scheduled', 'Ready'].map((type) => object && conditionOf(object, type)).find((condition) => condition && condition.status !== 'True');
  if (!waiting) return `${name}: waiting`;
  return `${name}: ${describeCondition(waiting)}`;
}

/** A machine that failed for good will not become Ready however long one waits. */
export const hasFailed = ({ status }: VirtualMachine): boolean => status?.phase === 'Failed' || status?.phase === 'Stopped';
