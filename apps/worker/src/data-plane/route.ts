import { DATA_PLANE_OPERATIONS, type DataPlaneClaims, type DataPlaneOperation, Problem } from '@corral/contracts';

/** What a request to the node's data plane is about, and what the VM process is asked. */
export interface DataPlaneRoute {
  readonly uid: string;
  readonly incarnation: number;
  readonly operation: DataPlaneOperation;
  /** Path and query as the VM process serves them. */
  readonly target: string;
}

const PATH = /^\/v1\/machines\/([\w-]+)\/(\d+)\/(\w+)(?:\?(.*))?$/;

/** Undefined when it is no path of the data plane. */
export function parseRoute(url: string): DataPlaneRoute | undefined {
  const [, uid, incarnation, operation, query] = PATH.exec(url) ?? [];
  const known = DATA_PLANE_OPERATIONS.find((name) => name === operation);
  if (uid === undefined || !known) return undefined;
  return {
    uid,
    incarnation: Number(incarnation),
    operation: known,
    target: `/${known}${query === undefined ? '' : `?${query}`}`,
  };
}

/** Throws Problem `request.forbidden` when the token is for something else. */
export function checkClaims(route: DataPlaneRoute, claims: DataPlaneClaims): void {
  if (claims.uid !== route.uid || claims.incarnation !== route.incarnation || claims.operation !== route.operation) {
    throw new Problem('request.forbidden', 'The token is for another machine or operation');
  }
}
