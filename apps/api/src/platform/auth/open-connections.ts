import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { RequestAttributes } from '@corral/api-machinery';
import { Problem } from '@corral/contracts';
import { API_CONFIG, type ApiConfig } from '../config/api-config.ts';
import { credentialId } from './credential.ts';
import { Credentials } from './credentials.ts';
import { LiveObjects } from './live-objects.ts';
import { ADMIN_GROUP, NODES_GROUP, tenantOf, type User } from './user.ts';

const CHECK_MS = 1_000;
const RETRY_AFTER_S = 5;

interface Connection {
  readonly user: User;
  readonly attributes: RequestAttributes;
  end(): void;
  /** The version of the rights it was last allowed by. */
  allowedAt: number | undefined;
}

/** Whether somebody may still do what they are doing. */
export interface Rights {
  isAllowed(user: User, attributes: RequestAttributes): boolean;
  /** Changes whenever an answer may: thousands of watches are not decided upon anew every second for nothing. */
  version(): number;
}

/**
 * What is open on the strength of a credential (watches, waits, sockets into guests): it ends with the credential, and with
 * the right it was opened by; at once when this process hears of it, else when it is found gone. So many for one tenant: each
 * costs memory for as long as it is open, which a rate of requests does not bound.
 */
@Injectable()
export class OpenConnections implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger('OpenConnections');
  readonly #byCredential = new Map<string, Set<Connection>>();
  readonly #countByTenant = new Map<string, number>();
  readonly #max: number;
  #rights: Rights = { isAllowed: () => true, version: () => 0 };
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  constructor(
    @Inject(Credentials) private readonly credentials: Credentials,
    @Inject(LiveObjects) private readonly objects: LiveObjects,
    @Inject(API_CONFIG) { traffic }: Pick<ApiConfig, 'traffic'>,
  ) {
    this.#max = traffic.openConnections;
  }

  onModuleInit(): void {
    this.#timer = setInterval(() => this.#check(), CHECK_MS);
    this.objects.onChange(() => this.#check());
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
  }

  /** How rights are looked at again. */
  recheckWith(rights: Rights): void {
    this.#rights = rights;
  }

  /** Refuses with `request.too-many` when this user, or the service accounts of this namespace together, have as many open as they may. */
  requireRoom(user: User): void {
    if (this.#max === 0 || user.groups.includes(ADMIN_GROUP) || user.groups.includes(NODES_GROUP)) return;
    const tenant = tenantOf(user);
    if ((this.#countByTenant.get(tenant) ?? 0) < this.#max) return;
    throw new Problem('request.too-many', `${tenant} has ${this.#max} watches, waits and sockets open, which is as many as allowed; end one, or try again later`, { details: { retryAfterSeconds: RETRY_AFTER_S } });
  }

  /** Returns what to call when the connection has ended by itself. Refuses as `requireRoom`. */
  add(user: User, attributes: RequestAttributes, end: () => void): () => void {
    const leave = this.#enter(user);
    if (!user.credential) return leave;
    const id = credentialId(user.credential);
    const connection: Connection = { user, attributes, end, allowedAt: undefined };
    const held = this.#byCredential.get(id) ?? new Set();
    this.#byCredential.set(id, held.add(connection));
    return () => {
      leave();
      held.delete(connection);
      if (held.size === 0 && this.#byCredential.get(id) === held) this.#byCredential.delete(id);
    };
  }

  #enter(user: User): () => void {
    this.requireRoom(user);
    const tenant = tenantOf(user);
    this.#countByTenant.set(tenant, (this.#countByTenant.get(tenant) ?? 0) + 1);
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      const left = (this.#countByTenant.get(tenant) ?? 1) - 1;
      if (left === 0) this.#countByTenant.delete(tenant);
      else this.#countByTenant.set(tenant, left);
    };
  }

  /** Ends what was opened with this credential, without asking whether it still holds. */
  endAll(id: string): void {
    const held = this.#byCredential.get(id) ?? [];
    this.#byCredential.delete(id);
    for (const connection of held) connection.end();
  }

  #check(): void {
    this.#checking ??= this.#endOver()
      .catch((error: unknown) => this.#logger.warn({ err: error }, 'Credentials in use could not be checked; trying again'))
      .finally(() => (this.#checking = undefined));
  }

  /** All at once: the database is asked one question for a thousand nodes, and one credential that cannot be checked keeps none of the others open. */
  async #endOver(): Promise<void> {
    const checks = await Promise.allSettled([...this.#byCredential].map(([id, held]) => this.#endOverOf(id, held)));
    const failed = checks.find((check) => check.status === 'rejected');
    if (failed) throw failed.reason;
  }

  async #endOverOf(id: string, held: Set<Connection>): Promise<void> {
    const [any] = held;
    if (!any?.user.credential) return;
    if (!(await this.credentials.isValid(any.user.credential))) return this.endAll(id);
    const version = this.#rights.version();
    for (const connection of held) {
      if (connection.allowedAt === version) continue;
      if (this.#rights.isAllowed(connection.user, connection.attributes)) {
        connection.allowedAt = version;
        continue;
      }
      held.delete(connection);
      connection.end();
    }
  }
}
