import type { VirtualMachine, VirtualMachineSnapshot } from '@corral/contracts';
import { kindOf } from './lineage.ts';

/** Something drawn in the tree: a snapshot, checkpoints in a row folded into one, or a machine that goes on from there. */
export type TreeItem =
  | { readonly type: 'Snapshot'; readonly snapshot: VirtualMachineSnapshot }
  | { readonly type: 'Checkpoints'; readonly snapshots: readonly VirtualMachineSnapshot[] }
  | { readonly type: 'Machine'; readonly vm: VirtualMachine };

export interface TreeNode {
  readonly key: string;
  readonly item: TreeItem;
  /** Key of what it comes from; undefined where it stands alone. */
  readonly parent: string | undefined;
  /** How many steps from the beginning. */
  readonly column: number;
  /** A leaf has a row of its own; what comes before leaves lies in the middle of theirs. */
  readonly row: number;
}

export interface SnapshotTree {
  /** Parents before their children, branches from top to bottom. */
  readonly nodes: readonly TreeNode[];
  readonly columns: number;
  readonly rows: number;
}

interface Branch {
  readonly key: string;
  readonly item: TreeItem;
  readonly children: readonly Branch[];
}

const uidOf = ({ metadata }: VirtualMachineSnapshot): string => metadata.uid;
const nameIn = ({ metadata }: VirtualMachineSnapshot | VirtualMachine, name = metadata.name): string => `${metadata.namespace ?? ''}/${name}`;
const byTime = (a: VirtualMachineSnapshot, b: VirtualMachineSnapshot): number =>
  Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp) || (a.metadata.name < b.metadata.name ? -1 : 1);

/** The forest of snapshots, from left to right. Checkpoints in a row are one item, unless it is among `opened`. */
export function layOutTree(snapshots: readonly VirtualMachineSnapshot[], machines: readonly VirtualMachine[], opened: ReadonlySet<string>): SnapshotTree {
  const byName = new Map(snapshots.map((snapshot) => [nameIn(snapshot), snapshot]));
  const parentOf = (snapshot: VirtualMachineSnapshot): VirtualMachineSnapshot | undefined => {
    const parent = snapshot.status?.parent;
    return parent ? byName.get(nameIn(snapshot, parent)) : undefined;
  };
  const childrenOf = Map.groupBy([...snapshots].sort(byTime), parentOf);
  const machinesOf = Map.groupBy(machines, (vm) => (vm.status?.lineage?.snapshot === undefined ? undefined : byName.get(nameIn(vm, vm.status.lineage.snapshot))));

  // A name that was used again could name its own descendant: everything is drawn once.
  const drawn = new Set<VirtualMachineSnapshot>();
  const branchOf = (snapshot: VirtualMachineSnapshot): Branch => {
    drawn.add(snapshot);
    const row = [snapshot];
    for (let only = onlyCheckpointAfter(snapshot); only && isFoldable(snapshot); only = onlyCheckpointAfter(only)) {
      row.push(only);
      drawn.add(only);
    }
    const key = uidOf(snapshot);
    const folded = row.length > 1 && !opened.has(key);
    if (!folded) for (const other of row.slice(1)) drawn.delete(other);
    const last = folded ? (row.at(-1) ?? snapshot) : snapshot;
    const children = (childrenOf.get(last) ?? []).filter((child) => !drawn.has(child)).map(branchOf);
    const pills = (machinesOf.get(last) ?? []).map((vm): Branch => ({ key: vm.metadata.uid, item: { type: 'Machine', vm }, children: [] }));
    return { key, item: folded ? { type: 'Checkpoints', snapshots: row } : { type: 'Snapshot', snapshot }, children: [...pills, ...children] };
  };
  const isFoldable = (snapshot: VirtualMachineSnapshot): boolean => kindOf(snapshot) === 'Checkpoint' && !isOpened(snapshot);
  /** Once a row of checkpoints is opened, none of it folds. */
  const isOpened = (snapshot: VirtualMachineSnapshot): boolean => {
    for (let at: VirtualMachineSnapshot | undefined = snapshot, steps = 0; at && kindOf(at) === 'Checkpoint' && steps <= snapshots.length; at = parentOf(at), steps++) if (opened.has(uidOf(at))) return true;
    return false;
  };
  const onlyCheckpointAfter = (snapshot: VirtualMachineSnapshot): VirtualMachineSnapshot | undefined => {
    const children = childrenOf.get(snapshot) ?? [];
    const [only] = children;
    const isRow = children.length === 1 && (machinesOf.get(snapshot)?.length ?? 0) === 0;
    return only && isRow && kindOf(only) === 'Checkpoint' && !drawn.has(only) ? only : undefined;
  };

  const roots = (childrenOf.get(undefined) ?? []).map(branchOf);
  for (const left of [...snapshots].sort(byTime)) if (!drawn.has(left)) roots.push(branchOf(left));
  return place(roots);
}

function place(roots: readonly Branch[]): SnapshotTree {
  const nodes: TreeNode[] = [];
  let rows = 0;
  let columns = 0;
  const visit = ({ key, item, children }: Branch, parent: string | undefined, column: number): number => {
    columns = Math.max(columns, column + 1);
    const index = nodes.push({ key, item, parent, column, row: 0 }) - 1;
    const below = children.map((child) => visit(child, key, column + 1));
    const row = below.length === 0 ? rows++ : ((below[0] ?? 0) + (below.at(-1) ?? 0)) / 2;
    nodes[index] = { key, item, parent, column, row };
    return row;
  };
  for (const root of roots) visit(root, undefined, 0);
  return { nodes, columns, rows };
}

/** The node an arrow key leads to from the one that is chosen. */
export function neighbourOf({ nodes }: SnapshotTree, from: string | undefined, key: string): TreeNode | undefined {
  const current = nodes.find((node) => node.key === from);
  if (!current) return nodes[0];
  const inColumn = nodes.filter(({ column }) => column === current.column).sort((a, b) => a.row - b.row);
  const at = inColumn.indexOf(current);
  switch (key) {
    case 'ArrowLeft':
      return nodes.find((node) => node.key === current.parent);
    case 'ArrowRight':
      return nodes.find(({ parent }) => parent === current.key);
    case 'ArrowUp':
      return inColumn[at - 1];
    case 'ArrowDown':
      return inColumn[at + 1];
    default:
      return undefined;
  }
}
