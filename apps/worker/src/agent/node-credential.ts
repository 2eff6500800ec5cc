import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exchangeNodeToken } from '@corral/client';
import { Problem } from '@corral/contracts';
import { type Logger } from 'pino';
import { z } from 'zod';

const Stored = z.object({ apiUrl: z.string(), nodeName: z.string(), token: z.string().min(1) });

export interface NodeCredentialOptions {
  readonly home: string;
  readonly apiUrl: string;
  readonly nodeName: string;
  /** The deployment's token: good for becoming a node, and nothing else. */
  readonly bootstrapToken: string;
  readonly log: Logger;
}

/**
 * What this node proves by that it is itself: given by the API in exchange for the deployment's token, and kept in the home.
 * A new one ends the one before. The API gives none for the name of a node that is there, unless its present one is shown.
 */
export class NodeCredential {
  readonly #options: NodeCredentialOptions;
  #token: Promise<string> | undefined;

  constructor(options: NodeCredentialOptions) {
    this.#options = options;
  }

  get path(): string {
    return join(this.#options.home, 'credential.json');
  }

  /** Throws Problem when there is none yet and the API gives none. */
  token(): Promise<string> {
    this.#token ??= this.#obtain().catch((error: unknown) => {
      this.#token = undefined;
      throw error;
    });
    return this.#token;
  }

  /** Call when the API did not know the token: it is given up, and another asked for at the next use, which another worker of this name may prevent. */
  async refused(): Promise<void> {
    const { log, nodeName } = this.#options;
    log.warn(`The API does not know the credential of ${nodeName} any more; another is asked for`);
    await rm(this.path, { force: true });
    this.#token = undefined;
  }

  async #obtain(): Promise<string> {
    const { apiUrl, nodeName, bootstrapToken } = this.#options;
    const stored = await this.#stored();
    if (stored?.apiUrl === apiUrl) return stored.token;
    const token = await exchangeNodeToken({ baseUrl: apiUrl, token: bootstrapToken, nodeName, present: stored?.token });
    const temporary = `${this.path}.tmp`;
    await writeFile(temporary, JSON.stringify({ apiUrl, nodeName, token }), { mode: 0o600 });
    await rename(temporary, this.path);
    return token;
  }

  /** One that was given to this node; by this API, perhaps under another address. */
  async #stored(): Promise<z.output<typeof Stored> | undefined> {
    const { nodeName } = this.#options;
    const text = await readFile(this.path, 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      const stored = Stored.parse(JSON.parse(text));
      return stored.nodeName === nodeName ? stored : undefined;
    } catch {
      return undefined;
    }
  }
}

export const isRefused = (error: unknown): boolean => error instanceof Problem && error.code === 'request.unauthenticated';
