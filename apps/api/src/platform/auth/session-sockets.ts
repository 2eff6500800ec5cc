import { Inject, Injectable, Logger, type BeforeApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { WebSocket } from 'ws';
import { AccessTokens } from './access-tokens.ts';

const CHECK_MS = 1_000;
/** RFC 6455, 7.4.1: policy violation. */
const NOT_ALLOWED = 1008;
const FAREWELL_MS = 500;

/** What is open on the strength of a session, which ends with it: at once when it ends here, else when it is found gone. */
@Injectable()
export class SessionSockets implements OnModuleInit, BeforeApplicationShutdown {
  readonly #logger = new Logger(SessionSockets.name);
  readonly #sockets = new Map<string, Set<WebSocket>>();
  #check: NodeJS.Timeout | undefined;

  constructor(@Inject(AccessTokens) private readonly tokens: AccessTokens) {}

  onModuleInit(): void {
    let checking: Promise<void> | undefined;
    this.#check = setInterval(() => {
      checking ??= this.#endOver()
        .catch((error: unknown) => this.#logger.warn({ err: error }, 'Sessions could not be checked; trying again'))
        .finally(() => (checking = undefined));
    }, CHECK_MS);
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#check);
  }

  /** `session` is the secret in its cookie. */
  add(session: string, client: WebSocket): void {
    const held = this.#sockets.get(session) ?? new Set();
    this.#sockets.set(session, held.add(client));
    client.once('close', () => {
      held.delete(client);
      if (held.size === 0 && this.#sockets.get(session) === held) this.#sockets.delete(session);
    });
  }

  end(session: string): void {
    const held = this.#sockets.get(session) ?? [];
    this.#sockets.delete(session);
    for (const client of held) {
      client.close(NOT_ALLOWED, 'the session has ended');
      // Until it answers, a client could go on talking.
      const cutOff = setTimeout(() => client.terminate(), FAREWELL_MS);
      client.once('close', () => clearTimeout(cutOff));
    }
  }

  async #endOver(): Promise<void> {
    for (const session of [...this.#sockets.keys()]) {
      if (!(await this.tokens.find(session, 'Session'))) this.end(session);
    }
  }
}
