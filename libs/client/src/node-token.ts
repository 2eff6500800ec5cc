import { Connection } from './connection.ts';

export interface NodeTokenExchange {
  readonly baseUrl: string;
  /** The deployment's node token. */
  readonly token: string;
  readonly nodeName: string;
  /** The credential this node has, if it has one: without it, a name is not given while its node is there (`object.conflict`). */
  readonly present?: string | undefined;
}

/**
 * Exchanges the deployment's node token for a credential of one node, which ends every other of that node. Refusals are
 * Problems.
 */
export async function exchangeNodeToken({ baseUrl, token, nodeName, present }: NodeTokenExchange): Promise<string> {
  const answer = await new Connection({ baseUrl, token }).json<{ readonly token: string }>({ method: 'POST', path: '/auth/node-credentials', body: { nodeName, present } });
  return answer.token;
}
