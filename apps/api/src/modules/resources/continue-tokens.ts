import { createHmac, timingSafeEqual } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { malformed } from '@corral/api-machinery';
import { z } from 'zod';
import { API_CONFIG, type ApiConfig } from '../../platform/config/api-config.ts';

const Position = z.object({ version: z.number().int().positive().optional(), after: z.object({ namespace: z.string(), name: z.string() }) });
/** Where the next page of a list begins, and the version all its pages show; without one, the newest there is then. */
export type ListPosition = z.output<typeof Position>;

/** Continue tokens: opaque to the caller, signed, so that a changed one is refused and not obeyed. */
@Injectable()
export class ContinueTokens {
  readonly #key: Buffer;

  constructor(@Inject(API_CONFIG) config: ApiConfig) {
    this.#key = createHmac('sha256', config.dataPlaneSecret).update('continue-tokens').digest();
  }

  write(position: ListPosition): string {
    const body = Buffer.from(JSON.stringify(position));
    return `${body.toString('base64url')}.${this.#sign(body).toString('base64url')}`;
  }

  read(token: string): ListPosition {
    const [body = '', signature = ''] = token.split('.').map((part) => Buffer.from(part, 'base64url'));
    const expected = this.#sign(Buffer.from(body));
    const given = Buffer.from(signature);
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw malformed('continue key is not valid: it was not given by this server, or was changed');
    }
    return Position.parse(JSON.parse(body.toString()));
  }

  #sign(body: Buffer): Buffer {
    return createHmac('sha256', this.#key).update(body).digest().subarray(0, 16);
  }
}
