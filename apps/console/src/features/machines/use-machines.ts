import { apiPath, type Node, type VirtualMachine } from '@corral/contracts';
import { useMemo } from 'react';
import { MACHINES, NODES } from '../../api/resources.ts';
import { useCollectionPath } from '../../app/namespace.ts';
import { useIntents } from '../../live/intents.ts';
import { useCollection, type LiveList } from '../../live/live.ts';
import { useNow } from '../../live/now.ts';
import { rowOf, type MachineRow } from './machine-rows.ts';

/** The nodes by name; empty while they are not known, and then no machine is called silent. */
export function useNodesByName(): ReadonlyMap<string, Node> {
  const { items } = useCollection<Node>(apiPath(NODES));
  return useMemo(() => new Map(items.map((node) => [node.metadata.name, node])), [items]);
}

/** Every machine of the namespace shown, as asked for and as known, drawn anew each second. */
export function useMachineRows(): LiveList<VirtualMachine> & { readonly rows: readonly MachineRow[] } {
  const list = useCollection<VirtualMachine>(useCollectionPath(MACHINES));
  const nodes = useNodesByName();
  const intents = useIntents();
  const now = useNow();
  const rows = useMemo(
    () => list.items.map((vm) => rowOf(vm, nodes, intents.get(vm.metadata.uid), now)),
    [list.items, nodes, intents, now],
  );
  return { ...list, rows };
}
