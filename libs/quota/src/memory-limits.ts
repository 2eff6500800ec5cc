import { formatBytes, LIMITED_RESOURCE, parseBytes, parseQuantity, type LimitRange, type LimitRangeItem, type VirtualMachine } from '@corral/contracts';
import { memoryOf } from './machine-use.ts';

const itemsOf = (ranges: readonly LimitRange[]): readonly LimitRangeItem[] => ranges.flatMap(({ spec }) => spec?.limits ?? []);

/**
 * The machine with the namespace's defaults. A machine from a snapshot has the snapshot's memory and no other. The first
 * range that says something wins.
 */
export function withLimitDefaults(vm: VirtualMachine, ranges: readonly LimitRange[]): VirtualMachine {
  const { spec } = vm;
  if (!spec) return vm;
  const items = itemsOf(ranges);
  const memory = spec.memory ?? (spec.source.image === undefined ? undefined : firstBytes(items, 'default') ?? firstBytes(items, 'max'));
  const residentMemory = spec.residentMemory ?? firstBytes(items, 'defaultRequest');
  return { ...vm, spec: { ...spec, ...(memory === undefined ? {} : { memory }), ...(residentMemory === undefined ? {} : { residentMemory }) } };
}

function firstBytes(items: readonly LimitRangeItem[], amount: 'default' | 'defaultRequest' | 'max'): string | undefined {
  // `max` is a default for containers only, as in Kubernetes.
  const text = items.find((item) => item[amount]?.[LIMITED_RESOURCE] !== undefined && (amount !== 'max' || item.type === 'Container'))?.[amount]?.[LIMITED_RESOURCE];
  const bytes = text === undefined ? undefined : parseQuantity(text);
  return bytes === undefined || parseBytes(String(bytes)) === undefined ? undefined : formatBytes(bytes);
}

/** Everything about the machine's memory that the namespace's limits forbid. Source: k8s.io/kubernetes/plugin/pkg/admission/limitranger. */
export function limitViolations(vm: VirtualMachine, ranges: readonly LimitRange[]): readonly string[] {
  const limit = memoryOf(vm);
  const request = parseBytes(vm.spec?.residentMemory ?? '') ?? limit;
  if (limit === undefined || request === undefined) return [];
  return itemsOf(ranges).flatMap(({ type, min, max, maxLimitRequestRatio }) => {
    const violations: string[] = [];
    const [least, most, ratio] = [min, max, maxLimitRequestRatio].map((amounts) => amounts?.[LIMITED_RESOURCE]);
    if (least !== undefined && request < amountOf(least)) violations.push(`minimum memory usage per ${type} is ${least}, but request is ${formatBytes(request)}`);
    if (most !== undefined && limit > amountOf(most)) violations.push(`maximum memory usage per ${type} is ${most}, but limit is ${formatBytes(limit)}`);
    if (ratio !== undefined && limit > request * amountOf(ratio)) {
      violations.push(`memory max limit to request ratio per ${type} is ${ratio}, but provided ratio is ${(limit / request).toFixed(6)}`);
    }
    return violations;
  });
}

const amountOf = (text: string): number => parseQuantity(text) ?? 0;
