import { parseQuantity, Problem, qualifiedResource, type KindDefinition, type ResourceList, type ResourceQuota } from '@corral/contracts';
import { amountText, useOf, type Counted } from './resource-use.ts';

/** What a write does to a namespace's figures: what was there, and what will be. */
export interface Step {
  readonly before: Counted | undefined;
  readonly after: Counted | undefined;
  /** False for what has happened already, such as a snapshot that was taken: counted, whatever the limits. */
  readonly isRefusable: boolean;
}

/** The quotas as they are after the step; only those whose figures change. Refuses (403) what does not fit, in Kubernetes's words. */
export function charge(quotas: readonly ResourceQuota[], step: Step): readonly ResourceQuota[] {
  return quotas.flatMap((quota) => {
    const used = usedAfter(quota, step);
    return used ? [{ ...quota, status: { ...quota.status, used } }] : [];
  });
}

function usedAfter(quota: ResourceQuota, step: Step): ResourceList | undefined {
  const { hard = {}, used = {} } = quota.status ?? {};
  const next = { ...used };
  const exceeded: { readonly name: string; readonly requested: number }[] = [];
  const unstated: string[] = [];
  for (const [name, limit] of Object.entries(hard)) {
    const after = useOf(name, step.after);
    if (after === undefined && step.before === undefined) unstated.push(name);
    const difference = (after ?? 0) - (useOf(name, step.before) ?? 0);
    if (difference === 0) continue;
    const total = amountOf(used[name]) + difference;
    if (difference > 0 && total > amountOf(limit)) exceeded.push({ name, requested: difference });
    next[name] = amountText(name, Math.max(0, total));
  }
  if (step.isRefusable && step.after) {
    if (unstated.length > 0) throw refusal(step.after, `failed quota: ${quota.metadata.name}: must specify ${unstated.sort().join(',')}`);
    if (exceeded.length > 0) throw refusal(step.after, exceededText(quota, exceeded));
  }
  return Object.entries(next).some(([name, text]) => used[name] !== text) ? next : undefined;
}

/** Source: k8s.io/apiserver/pkg/admission/plugin/resourcequota, CheckRequest. */
function exceededText({ metadata, status }: ResourceQuota, exceeded: readonly { readonly name: string; readonly requested: number }[]): string {
  const sorted = exceeded.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const list = (amount: (one: (typeof sorted)[number]) => string): string => sorted.map((one) => `${one.name}=${amount(one)}`).join(',');
  const requested = list(({ name, requested }) => amountText(name, requested));
  const used = list(({ name }) => status?.used?.[name] ?? '0');
  const limited = list(({ name }) => status?.hard?.[name] ?? '0');
  return `exceeded quota: ${metadata.name}, requested: ${requested}, used: ${used}, limited: ${limited}`;
}

function refusal({ kind, object: { metadata } }: Counted, why: string): Problem {
  return forbidden(kind, metadata.name, why);
}

/** 403 for what a policy of the namespace forbids. Source: k8s.io/apiserver/pkg/admission, NewForbidden. */
export function forbidden(kind: KindDefinition, name: string, why: string): Problem {
  return new Problem('request.forbidden', `${qualifiedResource(kind)} "${name}" is forbidden: ${why}`, { details: { name, group: kind.group, kind: kind.plural } });
}

const amountOf = (text: string | undefined): number => parseQuantity(text ?? '0') ?? 0;

/** A quota's figures from all there is: its limits come into force, and what is used of each is counted anew. */
export function counted(quota: ResourceQuota, all: readonly Counted[]): ResourceQuota {
  const hard = quota.spec?.hard ?? {};
  const used = Object.fromEntries(
    Object.keys(hard).map((name) => [name, amountText(name, all.reduce((sum, one) => sum + (useOf(name, one) ?? 0), 0))]),
  );
  return { ...quota, status: { hard, used } };
}
