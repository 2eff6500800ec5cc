import type { Node, VirtualMachine } from '@corral/contracts';
import { displayStatus, matchesFilter, parseFilter, type DisplayStatus, type MachineSays } from '@corral/ui';
import { withIntent, type Intent } from '../../live/intents.ts';

/** A machine as lists draw it. */
export interface MachineRow {
  readonly uid: string;
  readonly vm: VirtualMachine;
  readonly status: DisplayStatus<MachineSays>;
  readonly source: string;
  readonly nodeName: string | undefined;
  readonly memoryBytes: number | undefined;
  readonly heldBytes: number | undefined;
}

/** The facets of the filter row; everything in motion counts as one. */
export const FACETS = [
  'Running',
  'Changing',
  'NotReady',
  'Paused',
  'Hibernated',
  'Stopped',
  'Failed',
  'Unknown',
] as const;
export type Facet = (typeof FACETS)[number];

export function facetOf({ says }: DisplayStatus<MachineSays>): Facet {
  return (FACETS as readonly string[]).includes(says) ? (says as Facet) : 'Changing';
}

const MIB = 2 ** 20;

export function rowOf(
  vm: VirtualMachine,
  nodes: ReadonlyMap<string, Node>,
  intent: Intent | undefined,
  now: Date,
): MachineRow {
  const asked = withIntent(vm, intent, now);
  const nodeName = vm.status?.nodeName ?? vm.spec?.nodeName;
  const memoryMiB = vm.status?.memoryMiB;
  return {
    uid: vm.metadata.uid,
    vm: asked,
    status: displayStatus(asked, nodeName === undefined ? undefined : nodes.get(nodeName), now),
    source: vm.spec?.source.image ?? vm.spec?.source.snapshot ?? '',
    nodeName,
    memoryBytes: memoryMiB === undefined ? undefined : memoryMiB * MIB,
    heldBytes: vm.status?.residentBytes,
  };
}

/** Needs attention first, then newest; names decide between equals, so that order never wavers. */
export function compareRows(a: MachineRow, b: MachineRow): number {
  return (
    Number(b.status.needsAttention) - Number(a.status.needsAttention) ||
    Date.parse(b.vm.metadata.creationTimestamp) - Date.parse(a.vm.metadata.creationTimestamp) ||
    (a.vm.metadata.name < b.vm.metadata.name ? -1 : 1)
  );
}

export function filterRows(rows: readonly MachineRow[], query: string): readonly MachineRow[] {
  const terms = parseFilter(query);
  if (terms.length === 0) return rows;
  return rows.filter(({ vm, status, source, nodeName }) =>
    matchesFilter(terms, {
      name: vm.metadata.name,
      labels: vm.metadata.labels ?? {},
      facets: {
        node: nodeName ?? '',
        image: source,
        source,
        status: status.says,
        reason: status.reason,
        namespace: vm.metadata.namespace ?? '',
      },
    }),
  );
}

export function countFacets(rows: readonly MachineRow[]): ReadonlyMap<Facet, number> {
  const counts = new Map<Facet, number>();
  for (const { status } of rows) counts.set(facetOf(status), (counts.get(facetOf(status)) ?? 0) + 1);
  return counts;
}

/**
 * The order to show while it must not move under the reader: what was there keeps its place, what went is left out,
 * what is new waits (`waiting` says how much would change). Not held, it is simply the order that is right now.
 */
export function settleOrder(
  shown: readonly string[],
  right: readonly string[],
  held: boolean,
): { readonly order: readonly string[]; readonly waiting: number } {
  if (!held || shown.length === 0) return { order: right, waiting: 0 };
  const present = new Set(right);
  const order = shown.filter((uid) => present.has(uid));
  const known = new Set(order);
  const moved = right.filter((uid) => known.has(uid)).filter((uid, index) => uid !== order[index]).length;
  return { order, waiting: right.length - order.length + moved };
}
