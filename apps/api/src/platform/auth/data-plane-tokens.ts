import { Inject, Injectable } from '@nestjs/common';
import { DATA_PLANE_TOKEN_TYPE, dataPlaneAudience, type DataPlaneClaims, type NodeUsageClaims } from '@corral/contracts';
import { SignJWT } from 'jose';
import { SIGNING_ALGORITHM, SigningKeys } from './signing-keys.ts';

const LIFETIME = '60s';

/** What the API shows to nodes: good for one node, one purpose and one minute. Only the API can make them. */
@Injectable()
export class DataPlaneTokens {
  constructor(@Inject(SigningKeys) private readonly keys: SigningKeys) {}

  async issue(nodeName: string, claims: DataPlaneClaims | NodeUsageClaims): Promise<string> {
    const { id: kid, privateKey } = await this.keys.current();
    return new SignJWT({ ...claims })
      .setProtectedHeader({ alg: SIGNING_ALGORITHM, kid, typ: DATA_PLANE_TOKEN_TYPE })
      .setAudience(dataPlaneAudience(nodeName))
      .setIssuedAt()
      .setExpirationTime(LIFETIME)
      .sign(privateKey);
  }
}
