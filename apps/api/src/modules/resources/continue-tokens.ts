import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { malformed } from '@corral/api-machinery';
import { z } from 'zod';
import { SigningKeys } from '../../platform/auth/signing-keys.ts';

const Position = z.object({ version: z.number().int().positive().optional(), after: z.object({ namespace: z.string(), name: z.string() }) });
/** Where the next page of a list begins, and the version all its pages show; without one, the newest there is then. */
export type ListPosition = z.output<typeof Position>;

const USE = 'continue-tokens';
const SIGNATURE_BYTES = 16;

/** Continue tokens: opaque to the caller, signed, so that a changed one is refused and not obeyed. Every process reads them. */
@Injectable()
export class ContinueTokens {
  constructor(@Inject(SigningKeys) private readonly keys: SigningKeys) {}

  async write(position: ListPosition): Promise<string> {
    const body = Buffer.from(JSON.stringify(position)).toString('base64url');
    const key = await this.keys.current();
    return `${body}.${key.id}.${sign(key.secretFor(USE), body).toString('base64url')}`;
  }

  async read(token: string): Promise<ListPosition> {
    const [body = '', keyId = '', signature = ''] = token.split('.');
    const key = await this.keys.find(keyId);
    const given = Buffer.from(signature, 'base64url');
    if (!key || given.length !== SIGNATURE_BYTES || !timingSafeEqual(given, sign(key.secretFor(USE), body))) {
      throw malformed('continue key is not valid: it was not given by this server, or was changed');
    }
    return Position.parse(JSON.parse(Buffer.from(body, 'base64url').toString()));
  }
}

const sign = (secret: Buffer, body: string): Buffer => createHmac('sha256', secret).update(body).digest().subarray(0, SIGNATURE_BYTES);
