import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { RequestAttributes } from '@corral/api-machinery';
import { credentialId } from './credential.ts';
import { Credentials } from './credentials.ts';
import { LiveObjects } from './live-objects.ts';
import type { User } from './user.ts';

const CHECK_MS = 1_000;

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
 * the right it was opened by; at once when this process hears of it, else when it is found gone.
 */
@Injectable()
export class OpenConnections implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger('OpenConnections');
  readonly #byCredential = new Map<string, Set<Connection>>();
  #rights: Rights = { isAllowed: () => true, version: () => 0 };
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  constructor(
    @Inject(Credentials) private readonly credentials: Credentials,
    @Inject(LiveObjects) private readonly objects: LiveObjects,
  ) {}

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

  /** Returns what to call when the connection has ended by itself. */
  add(user: User, attributes: RequestAttributes, end: () => void): () => void {
    if (!user.credential) return () => undefined;
    const id = credentialId(user.credential);
    const connection: Connection = { user, attributes, end, allowedAt: undefined };
    const held = this.#byCredential.get(id) ?? new Set();
    this.#byCredential.set(id, held.add(connection));
    return () => {
      held.delete(connection);
      if (held.size === 0 && this.#byCredential.get(id) === held) this.#byCredential.delete(id);
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
