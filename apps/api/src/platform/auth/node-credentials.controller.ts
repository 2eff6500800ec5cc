import { Body, Controller, Header, HttpCode, Inject, Post } from '@nestjs/common';
import { malformed } from '@corral/api-machinery';
import { isDnsLabel, leases, NODE_LEASE_NAMESPACE, nodes, Problem, type KindDefinition, type Lease, type Node } from '@corral/contracts';
import { z } from 'zod';
import { AccessTokens } from './access-tokens.ts';
import { credentialId } from './credential.ts';
import { NODE_CREDENTIALS_PATH, nodeNameOf } from './node-authorizer.ts';
import { isNameTaken } from './node-lease.ts';
import { PostgresStore } from '../database/postgres-store.ts';
import { Describe } from '../http/describe.ts';
import { OpenConnections } from './open-connections.ts';

const Wish = z.strictObject({
  nodeName: z.string().refine(isDnsLabel, 'must be a DNS label such as worker-1'),
  /** The credential this node has now: whoever shows it is that node, and may have another at any time. */
  present: z.string().min(1).max(1024).optional(),
});
const NODES: KindDefinition = nodes;
const LEASES: KindDefinition = leases;

/** How a worker becomes a node: the deployment's token, shown here, is exchanged for a credential of that node alone. */
@Controller()
export class NodeCredentialsController {
  constructor(
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(PostgresStore) private readonly store: PostgresStore,
    @Inject(OpenConnections) private readonly connections: OpenConnections,
  ) {}

  /**
   * A new credential ends those before. The deployment's token is on every worker, so it alone takes no name from a node
   * that is there: whoever wants that shows the node's own credential, or waits until its Lease has run out.
   */
  @Post(NODE_CREDENTIALS_PATH)
  @Describe({ summary: 'Exchange the deployment’s node token for the credential of one node; ends the one before.', body: Wish, code: 201 })
  @HttpCode(201)
  @Header('cache-control', 'no-store')
  async issue(@Body() body: unknown) {
    const wish = Wish.safeParse(body);
    if (!wish.success) throw malformed('the body must be {"nodeName": "…"} with a DNS label such as worker-1, and at most the present credential beside it');
    const { nodeName, present } = wish.data;
    if (!(await this.#isHolder(nodeName, present))) await this.#requireFree(nodeName);
    const { secret, ended } = await this.tokens.createForNode(nodeName);
    for (const id of ended) this.connections.endAll(credentialId({ ref: { type: 'Configured', id } }));
    return { nodeName, token: secret };
  }

  async #isHolder(nodeName: string, present: string | undefined): Promise<boolean> {
    const found = present === undefined ? undefined : await this.tokens.findToken(present);
    return found !== undefined && nodeNameOf(found.identity) === nodeName;
  }

  async #requireFree(nodeName: string): Promise<void> {
    const [node, lease] = await Promise.all([this.store.get(NODES, undefined, nodeName), this.store.get(LEASES, NODE_LEASE_NAMESPACE, nodeName)]);
    if (!isNameTaken(node as Node | undefined, lease as Lease | undefined, new Date())) return;
    throw new Problem(
      'object.conflict',
      `there is a node ${nodeName} already, and it renews its Lease. Give this worker another CORRAL_NODE_NAME; or, if it is that node, start it with its own CORRAL_WORKER_HOME, ` +
        `where its credential is. If that home is lost, the name is free once the Lease has run out; to free it now, stop the other worker and run: kubectl delete node ${nodeName}`,
      { details: { name: nodeName, kind: nodes.plural } },
    );
  }
}
