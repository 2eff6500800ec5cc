import { Body, Controller, Header, HttpCode, Inject, Post } from '@nestjs/common';
import { malformed } from '@corral/api-machinery';
import { isDnsLabel } from '@corral/contracts';
import { z } from 'zod';
import { AccessTokens } from './access-tokens.ts';
import { credentialId } from './credential.ts';
import { NODE_CREDENTIALS_PATH } from './node-authorizer.ts';
import { Describe } from '../http/describe.ts';
import { OpenConnections } from './open-connections.ts';

const Wish = z.strictObject({ nodeName: z.string().refine(isDnsLabel, 'must be a DNS label such as worker-1') });

/** How a worker becomes a node: the deployment's token, shown here, is exchanged for a credential of that node alone. */
@Controller()
export class NodeCredentialsController {
  constructor(
    @Inject(AccessTokens) private readonly tokens: AccessTokens,
    @Inject(OpenConnections) private readonly connections: OpenConnections,
  ) {}

  /** A new credential ends those before: of two workers that go by one name, the one that asked last is the node. */
  @Post(NODE_CREDENTIALS_PATH)
  @Describe({ summary: 'Exchange the deployment’s node token for the credential of one node; ends the one before.', body: Wish, code: 201 })
  @HttpCode(201)
  @Header('cache-control', 'no-store')
  async issue(@Body() body: unknown) {
    const wish = Wish.safeParse(body);
    if (!wish.success) throw malformed('the body must be {"nodeName": "…"} with a DNS label such as worker-1');
    const { secret, ended } = await this.tokens.createForNode(wish.data.nodeName);
    for (const id of ended) this.connections.endAll(credentialId({ ref: { type: 'Configured', id } }));
    return { nodeName: wish.data.nodeName, token: secret };
  }
}
