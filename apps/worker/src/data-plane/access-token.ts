import { DATA_PLANE_TOKEN_ALGORITHM, DATA_PLANE_TOKEN_TYPE, dataPlaneAudience, Problem } from '@corral/contracts';
import { jwtVerify } from 'jose';
import { type z } from 'zod';
import { type PublicKeys } from './public-keys.ts';

/** Tokens live this long; clocks of API and node may differ by a little. */
const MAX_AGE_SECONDS = 60;
const CLOCK_TOLERANCE_SECONDS = 15;

/** Reads the tokens that gateways show to this node. The API alone can make them; those for other nodes are good for nothing here. */
export class AccessTokens {
  readonly #keys: PublicKeys;
  readonly #audience: string;

  constructor(keys: PublicKeys, nodeName: string) {
    this.#keys = keys;
    this.#audience = dataPlaneAudience(nodeName);
  }

  /**
   * What the bearer may do, when it is of the kind expected. Throws Problem `request.unauthenticated`, or
   * `dependency.unavailable` when the key is not known and the API cannot be asked.
   */
  async verify<T>(authorization: string | undefined, claims: z.ZodType<T>): Promise<T> {
    const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw new Problem('request.unauthenticated', 'The data plane needs a bearer token');
    try {
      const { payload } = await jwtVerify(token, this.#keys.find, {
        algorithms: [DATA_PLANE_TOKEN_ALGORITHM],
        typ: DATA_PLANE_TOKEN_TYPE,
        audience: this.#audience,
        maxTokenAge: MAX_AGE_SECONDS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp'],
      });
      return claims.parse(payload);
    } catch (error) {
      if (error instanceof Problem) throw error;
      throw new Problem('request.unauthenticated', 'The token is not valid here, or not any more', { cause: error });
    }
  }
}
