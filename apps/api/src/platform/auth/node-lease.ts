import { findCondition, type Lease, type Node } from '@corral/contracts';

/** A node whose Lease is older than this is taken for lost. Source: Kubernetes, node-monitor-grace-period. */
export const NODE_GRACE_MS = 40_000;

/** The shortest term a node may give itself. */
const MIN_GRACE_MS = 1_000;

/**
 * How long a node may be silent: the term its own Lease names, because after that it serves nothing any more. A longer one
 * than the default would keep machines from being missed.
 */
export function graceMsOf(lease: Lease | undefined): number {
  const seconds = lease?.spec?.leaseDurationSeconds;
  return seconds === undefined ? NODE_GRACE_MS : Math.min(NODE_GRACE_MS, Math.max(MIN_GRACE_MS, seconds * 1000));
}

/**
 * Whether somebody goes by this name now. Renewals carry the node's own clock, so one that is taken for Ready, which is
 * decided by the server's, is there too. A name whose Node was deleted is free, whatever is left of its Lease.
 */
export function isNameTaken(node: Node | undefined, lease: Lease | undefined, now: Date): boolean {
  if (!node || node.metadata.deletionTimestamp !== undefined) return false;
  if (findCondition(node.status?.conditions, 'Ready')?.status === 'True') return true;
  const renewedAt = Date.parse(lease?.spec?.renewTime ?? '');
  return Number.isFinite(renewedAt) && now.getTime() - renewedAt < graceMsOf(lease);
}
