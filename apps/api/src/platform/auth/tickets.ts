import { Inject, Injectable } from '@nestjs/common';
import { Database } from '../database/database.ts';
import { Prisma } from '../database/generated/client.ts';
import { Credential } from './credential.ts';
import { digestOf, isRandomSecret, randomSecret } from './digest.ts';
import { StrangerLookups } from './stranger-lookups.ts';
import type { Identity, User } from './user.ts';

export const SIGN_IN_LIFETIME_MS = 15 * 60_000;
export const WEBSOCKET_LIFETIME_MS = 30_000;

/** `SignIn`, or `WebSocket:` and the path below which the ticket opens sockets. */
export type TicketPurpose = 'SignIn' | `WebSocket:${string}`;

/** Whose ticket it was, and the credential it was got with: what the ticket opens ends with that. */
export interface RedeemedTicket {
  readonly identity: Identity;
  readonly credential: Credential | undefined;
}

/** Codes that work once and not for long: sign-in links, and WebSocket tickets for browsers, which cannot set headers. */
@Injectable()
export class Tickets {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(StrangerLookups) private readonly strangers: StrangerLookups,
  ) {}

  async issue(purpose: TicketPurpose, { name, groups, credential: shown, impersonatedBy }: User, lifetimeMs: number): Promise<{ readonly code: string; readonly expiresAt: Date }> {
    const now = Date.now();
    const credential = shown && impersonatedBy ? { ...shown, impersonatedBy: { name: impersonatedBy.name, groups: [...impersonatedBy.groups] } } : shown;
    await this.database.ticket.deleteMany({ where: { expiresAt: { lt: new Date(now) } } });
    const code = randomSecret();
    const expiresAt = new Date(now + lifetimeMs);
    await this.database.ticket.create({ data: { digest: digestOf(code), purpose, userName: name, groups: [...groups], credential: credential ?? Prisma.DbNull, expiresAt } });
    return { code, expiresAt };
  }

  /** Whose ticket it was; of several who redeem one at the same time, one gets an answer. */
  async redeem(code: string, fits: (purpose: string) => boolean): Promise<RedeemedTicket | undefined> {
    if (!isRandomSecret(code)) return undefined;
    const digest = digestOf(code);
    const ticket = await this.strangers.find(Buffer.from(digest).toString('base64'), async () => (await this.database.ticket.findUnique({ where: { digest } })) ?? undefined);
    if (!ticket || !fits(ticket.purpose)) return undefined;
    const { count } = await this.database.ticket.deleteMany({ where: { digest } });
    if (count !== 1 || ticket.expiresAt.getTime() <= Date.now()) return undefined;
    return { identity: { name: ticket.userName, groups: ticket.groups }, credential: Credential.safeParse(ticket.credential).data };
  }
}
