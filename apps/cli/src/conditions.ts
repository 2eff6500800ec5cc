/** A condition as the API's document has it. */
export interface ApiCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message?: string;
}

export interface Conditioned {
  readonly status?: { readonly conditions?: readonly ApiCondition[] } | undefined;
}

export const conditionOf = ({ status }: Conditioned, type: string): ApiCondition | undefined => status?.conditions?.find((condition) => condition.type === type);

export const isReady = (object: Conditioned): boolean => conditionOf(object, 'Ready')?.status === 'True';

/** `ImageNotReady: it is being fetched.` */
export const describeCondition = ({ reason, message }: ApiCondition): string => (message ? `${reason}: ${message}` : reason);
