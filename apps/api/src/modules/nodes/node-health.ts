import { findCondition, withCondition, type Condition, type ConditionUpdate, type NodeStatus, type VirtualMachineStatus } from '@corral/contracts';

const SILENT = 'NodeStatusUnknown';
/** It stopped in good order, and has not been heard of since. */
const STOPPED = 'NodeAgentStopped';

/** Whether the node said that it stops: nobody is surprised by its silence. */
export function hasLeft(status: NodeStatus | undefined): boolean {
  const ready = findCondition(status?.conditions, 'Ready');
  return ready?.status === 'False' || ready?.reason === STOPPED;
}

/** The node's status when its agent has fallen silent; undefined when it says so already. */
export function silentNodeStatus(status: NodeStatus | undefined, now: Date): NodeStatus | undefined {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.status === 'Unknown') return undefined;
  const update: ConditionUpdate = hasLeft(status)
    ? { type: 'Ready', status: 'Unknown', reason: STOPPED, message: 'The node agent stopped in good order.' }
    : { type: 'Ready', status: 'Unknown', reason: SILENT, message: 'The node agent stopped renewing its Lease.' };
  return { ...status, conditions: withCondition(status?.conditions, update, now) };
}

/** The node's status when its agent, once silent, renews its Lease again; undefined when nobody called it silent. */
export function returnedNodeStatus(status: NodeStatus | undefined, now: Date): NodeStatus | undefined {
  const ready = findCondition(status?.conditions, 'Ready');
  if (ready?.reason !== SILENT && ready?.reason !== STOPPED) return undefined;
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
