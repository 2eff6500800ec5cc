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
 * A new one ends the one before, so a process asks at most once: when its own is refused, another worker goes by its name.
 */
export class NodeCredential {
  readonly #options: NodeCredentialOptions;
  #token: Promise<string> | undefined;
  #isOwn = false;

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

  /** Call when the API did not know the token: one from an earlier time is given up, and another asked for at the next use. */
  async refused(): Promise<void> {
    const { log, nodeName } = this.#options;
    if (this.#isOwn) {
      log.error(`The API takes this worker for ${nodeName} no more: another worker has asked for that name since. Stop one of them, or give it another name`);
      return;
    }
    log.info('The credential of an earlier time is not valid any more; another is asked for');
    await rm(this.path, { force: true });
    this.#token = undefined;
  }

  async #obtain(): Promise<string> {
    const { apiUrl, nodeName, bootstrapToken } = this.#options;
    const stored = await this.#stored();
    if (stored !== undefined) return stored;
    const token = await exchangeNodeToken({ baseUrl: apiUrl, token: bootstrapToken, nodeName });
    this.#isOwn = true;
    const temporary = `${this.path}.tmp`;
    await writeFile(temporary, JSON.stringify({ apiUrl, nodeName, token }), { mode: 0o600 });
    await rename(temporary, this.path);
    return token;
  }

  /** One that was given to this node by this API. */
  async #stored(): Promise<string | undefined> {
    const { apiUrl, nodeName } = this.#options;
    const text = await readFile(this.path, 'utf8').catch(() => undefined);
    if (text === undefined) return undefined;
    try {
      const stored = Stored.parse(JSON.parse(text));
      return stored.apiUrl === apiUrl && stored.nodeName === nodeName ? stored.token : undefined;
    } catch {
      return undefined;
    }
  }
}

export const isRefused = (error: unknown): boolean => error instanceof Problem && error.code === 'request.unauthenticated';
