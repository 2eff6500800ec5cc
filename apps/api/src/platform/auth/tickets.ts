import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.ts';
import { digestOf, randomSecret } from './digest.ts';
import type { User } from './user.ts';

export const SIGN_IN_LIFETIME_MS = 15 * 60_000;
export const WEBSOCKET_LIFETIME_MS = 30_000;

/** `SignIn`, or `WebSocket:` and the path below which the ticket opens sockets. */
export type TicketPurpose = 'SignIn' | `WebSocket:${string}`;

type Identity = Pick<User, 'name' | 'groups'>;

/** Codes that work once and not for long: sign-in links, and WebSocket tickets for browsers, which cannot set headers. */
@Injectable()
export class Tickets {
  constructor(@Inject(Database) private readonly database: Database) {}

  async issue(purpose: TicketPurpose, user: Identity, lifetimeMs: number): Promise<{ readonly code: string; readonly expiresAt: Date }> {
    const now = Date.now();
    await this.database.ticket.deleteMany({ where: { expiresAt: { lt: new Date(now) } } });
    const code = randomSecret();
    const expiresAt = new Date(now + lifetimeMs);
    await this.database.ticket.create({ data: { digest: digestOf(code), purpose, userName: user.name, groups: [...user.groups], expiresAt } });
    return { code, expiresAt };
  }

  /** Whose ticket it was; of several who redeem one at the same time, one gets an answer. */
  async redeem(code: string, fits: (purpose: string) => boolean): Promise<Identity | undefined> {
    const digest = digestOf(code);
    const ticket = await this.database.ticket.findUnique({ where: { digest } });
    if (!ticket || !fits(ticket.purpose)) return undefined;
    const { count } = await this.database.ticket.deleteMany({ where: { digest } });
    return count === 1 && ticket.expiresAt.getTime() > Date.now() ? { name: ticket.userName, groups: ticket.groups } : undefined;
  }
}
