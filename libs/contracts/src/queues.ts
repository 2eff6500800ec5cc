/** BullMQ queues. Every job is a hint "look at this object"; losing one loses time, never work. */
export const nodeQueueName = (nodeName: string): string => `corral.node.${nodeName}`;
export interface ObjectHint {
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
}
