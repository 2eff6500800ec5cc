import { Connection } from './connection.ts';

/**
 * Exchanges the deployment's node token for a credential of one node, which ends every other of that node. Refusals are
 * Problems.
 */
export async function exchangeNodeToken({ baseUrl, token, nodeName }: { readonly baseUrl: string; readonly token: string; readonly nodeName: string }): Promise<string> {
  const answer = await new Connection({ baseUrl, token }).json<{ readonly token: string }>({ method: 'POST', path: '/auth/node-credentials', body: { nodeName } });
  return answer.token;
}
