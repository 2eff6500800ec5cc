import { DATA_PLANE_AUDIENCE, Problem } from '@corral/contracts';
import { jwtVerify } from 'jose';
import { type z } from 'zod';

/** Tokens live this long; clocks of API and node may differ by a little. */
const MAX_AGE_SECONDS = 60;
const CLOCK_TOLERANCE_SECONDS = 15;

/** Reads the tokens that gateways show. */
export class AccessTokens {
  readonly #key: Uint8Array;

  constructor(secret: string) {
    this.#key = new TextEncoder().encode(secret);
  }

  /** What the bearer may do, when it is of the kind expected. Throws Problem `request.unauthenticated`. */
  async verify<T>(authorization: string | undefined, claims: z.ZodType<T>): Promise<T> {
    const token = /^Bearer (.+)$/i.exec(authorization ?? '')?.[1];
    if (token === undefined) throw new Problem('request.unauthenticated', 'The data plane needs a bearer token');
    try {
      const { payload } = await jwtVerify(token, this.#key, {
        algorithms: ['HS256'],
        audience: DATA_PLANE_AUDIENCE,
        maxTokenAge: MAX_AGE_SECONDS,
        clockTolerance: CLOCK_TOLERANCE_SECONDS,
        requiredClaims: ['exp'],
      });
      return claims.parse(payload);
    } catch (error) {
      throw new Problem('request.unauthenticated', 'The token is not valid here, or not any more', { cause: error });
    }
  }
}
