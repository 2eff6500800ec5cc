import { Inject, Injectable } from '@nestjs/common';
import { isRecord, malformed, objectNotFound, Selection } from '@corral/api-machinery';
import { Condition, Problem, type KindDefinition, type KubeObject } from '@corral/contracts';
import { z } from 'zod';
import { Resources } from './resources.service.ts';
import type { ObjectAddress } from './write-options.ts';
import { Watches } from './watches.ts';

const MAX_TIMEOUT_SECONDS = 3600;
const DEFAULT_TIMEOUT_SECONDS = 30;
const RETRY_AFTER_S = 1;

/** What one can wait for: a condition's status, or the object's end. */
type Goal =
  | { readonly type: 'Deleted' }
  | { readonly type: 'Condition'; readonly condition: string; readonly status: string }
  /** Undefined: any value. */
  | { readonly type: 'Field'; readonly path: readonly string[]; readonly value: string | undefined };

/** `GET …/{name}/wait`: one request that answers when something has become true. */
@Injectable()
export class Waits {
  constructor(
    @Inject(Resources) private readonly resources: Resources,
    @Inject(Watches) private readonly watches: Watches,
  ) {}

  /** The object when its condition is met, undefined when it is gone as wished; 404 when it does not exist, 408 when time is over, 503 when the server stops. */
  async wait(kind: KindDefinition, address: ObjectAddress, forText: string | undefined, timeoutText: string | undefined, signal: AbortSignal): Promise<KubeObject | undefined> {
    const goal = readGoal(forText);
    const timeoutMs = readTimeout(timeoutText) * 1000;
    const deadline = Date.now() + timeoutMs;
    const initial = await this.resources.get(kind, address).catch((error: unknown) => {
      if (goal.type === 'Deleted' && error instanceof Problem && error.code === 'object.not-found') return undefined;
      throw error;
    });
    if (!initial || isMet(goal, initial)) return initial;

    const selection = new Selection(kind, { namespace: address.namespace, fieldSelector: `metadata.name=${address.name}` });
    const start = { from: 'Version', version: Number(initial.metadata.resourceVersion) } as const;
    for await (const item of this.watches.watch(selection, { start, marksInitialEnd: false, bookmarkEveryMs: timeoutMs, timeoutMs, signal })) {
      if (item.type !== 'Event') continue;
      const { type, object } = item.event;
      if (type !== 'DELETED' && isMet(goal, object)) return object;
      if (type !== 'DELETED') continue;
      if (goal.type === 'Deleted') return undefined;
      throw objectNotFound(kind, address.name);
    }
    if (Date.now() < deadline) throw new Problem('dependency.unavailable', 'the wait ended before its time; ask again', { details: { retryAfterSeconds: RETRY_AFTER_S } });
    throw new Problem('wait.timed-out', `timed out waiting for ${forText ?? ''} on ${kind.plural}/${address.name}`);
  }
}

function readGoal(text: string | undefined): Goal {
  if (text === 'delete') return { type: 'Deleted' };
  const field = /^jsonpath=\{((?:\.[\w-]+)+)\}(?:=(.+))?$/.exec(text ?? '');
  if (field?.[1] !== undefined) return { type: 'Field', path: field[1].slice(1).split('.'), value: field[2] };
  const match = /^condition=([^=]+)(?:=(.+))?$/.exec(text ?? '');
  if (!match?.[1]) throw malformed('for must be "delete", "condition=<type>", "condition=<type>=<status>" or "jsonpath={.path.to.field}=<value>"');
  return { type: 'Condition', condition: match[1], status: match[2] ?? 'True' };
}

function readTimeout(text: string | undefined): number {
  const seconds = text === undefined ? DEFAULT_TIMEOUT_SECONDS : Number(text);
  if (!(seconds >= 0 && seconds <= MAX_TIMEOUT_SECONDS)) throw malformed(`timeoutSeconds must be a number from 0 to ${MAX_TIMEOUT_SECONDS}`);
  return seconds;
}

const Conditions = z.array(Condition.pick({ type: true, status: true, observedGeneration: true }));

/** As `kubectl wait` decides it: a condition about an older generation does not count. */
function isMet(goal: Goal, object: KubeObject): boolean {
  if (goal.type === 'Deleted') return false;
  if (goal.type === 'Field') return hasField(goal.path, goal.value, object);
  const conditions = Conditions.safeParse(isRecord(object.status) ? object.status['conditions'] : []);
  const found = conditions.data?.find(({ type }) => type.toLowerCase() === goal.condition.toLowerCase());
  if (!found || found.status.toLowerCase() !== goal.status.toLowerCase()) return false;
  return found.observedGeneration === undefined || found.observedGeneration >= object.metadata.generation;
}

function hasField(path: readonly string[], expected: string | undefined, object: unknown): boolean {
  const value = path.reduce<unknown>((container, key) => (isRecord(container) && Object.hasOwn(container, key) ? container[key] : undefined), object);
  if (value === undefined || value === null) return false;
  return expected === undefined || (typeof value === 'object' ? JSON.stringify(value) : String(value)) === expected;
}
