import type { KubeObject } from '../metadata.ts';

/** A new value of this says that a machine goes back once more to the snapshot its source names already. */
export const ROLLED_BACK_ANNOTATION = 'corral.dev/rolled-back-at';

type Machine = KubeObject<{ readonly source?: { readonly snapshot?: string | undefined } }, unknown>;

/** The snapshot to which this write of a machine sends it back; undefined for any other write. */
export function rollbackOf(vm: Machine, previous: Machine | undefined): string | undefined {
  const { snapshot, ...others } = vm.spec?.source ?? {};
  if (!previous || snapshot === undefined || Object.keys(others).length > 0) return undefined;
  const asksAnew = vm.metadata.annotations?.[ROLLED_BACK_ANNOTATION] !== previous.metadata.annotations?.[ROLLED_BACK_ANNOTATION];
  return snapshot !== previous.spec?.source?.snapshot || (asksAnew && vm.metadata.annotations?.[ROLLED_BACK_ANNOTATION] !== undefined) ? snapshot : undefined;
}
