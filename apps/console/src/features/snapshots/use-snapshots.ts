import type { VirtualMachineSnapshot } from '@corral/contracts';
import { useMemo } from 'react';
import { useCollection } from '../../live/live.ts';
import { isKept } from './lineage.ts';

/** The snapshots at a path that one can go back to or start from. */
export function useSnapshots(path: string | undefined): ReturnType<typeof useCollection<VirtualMachineSnapshot>> {
  const list = useCollection<VirtualMachineSnapshot>(path);
  const items = useMemo(() => list.items.filter(isKept), [list.items]);
  return { ...list, items };
}
