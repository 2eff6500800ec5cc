import { findCondition, withCondition, type Condition, type ConditionUpdate, type NodeStatus, type VirtualMachineStatus } from '@corral/contracts';

/** A node whose Lease is older than this is taken for lost. Source: Kubernetes, node-monitor-grace-period. */
export const NODE_GRACE_MS = 40_000;

const SILENT = 'NodeStatusUnknown';

/** The node's status when its agent has fallen silent; undefined when it says so already. */
export function silentNodeStatus(status: NodeStatus | undefined, now: Date): NodeStatus | undefined {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'Unknown') return undefined;
  const update: ConditionUpdate = { type: 'Ready', status: 'Unknown', reason: SILENT, message: 'The node agent stopped renewing its Lease.' };
  return { ...status, conditions: withCondition(status?.conditions, update, now) };
}

/** The node's status when its agent, once silent, renews its Lease again; undefined when nobody called it silent. */
export function returnedNodeStatus(status: NodeStatus | undefined, now: Date): NodeStatus | undefined {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.reason !== SILENT) return undefined;
  const update: ConditionUpdate = { type: 'Ready', status: 'True', reason: 'AgentReady', message: 'The node agent renews its Lease again.' };
  return { ...status, conditions: withCondition(status?.conditions, update, now) };
}

/** The machine's status when its node is lost; undefined when there is nothing to say: it was not thought to run. */
export function lostMachineStatus(status: VirtualMachineStatus | undefined, nodeName: string, now: Date): VirtualMachineStatus | undefined {
  const ready: Condition | undefined = findCondition(status?.conditions, 'Ready');
  const thoughtToRun = status?.phase === 'Starting' || status?.phase === 'Running' || status?.phase === 'Paused' || status?.phase === 'Stopping';
  if (!thoughtToRun || ready?.status === 'Unknown') return undefined;
  const update: ConditionUpdate = { type: 'Ready', status: 'Unknown', reason: 'NodeLost', message: `Node ${nodeName} does not answer; whether the machine runs is not known.` };
  return { ...status, conditions: withCondition(status.conditions, update, now) };
}
