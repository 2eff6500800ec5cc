import { Injectable, type BeforeApplicationShutdown } from '@nestjs/common';

/** A check that says nothing for this long has failed. */
const TIMEOUT_MS = 5_000;

export interface CheckResult {
  readonly name: string;
  readonly isOk: boolean;
}

/** What has to be so for the process to live (`livez`) or to serve (`readyz`): by name, from whoever knows. */
@Injectable()
export class HealthChecks implements BeforeApplicationShutdown {
  readonly #checks = { livez: new Map<string, () => unknown>(), readyz: new Map<string, () => unknown>() };
  #isStopping = false;

  constructor() {
    this.add('livez', 'ping', () => undefined);
    this.add('readyz', 'ping', () => undefined);
    this.add('readyz', 'shutdown', () => {
      if (this.#isStopping) throw new Error('the process stops');
    });
  }

  /** `check` throws or rejects where something is wrong. */
  add(probe: 'livez' | 'readyz', name: string, check: () => unknown): void {
    this.#checks[probe].set(name, check);
  }

  names(probe: 'livez' | 'readyz'): readonly string[] {
    return [...this.#checks[probe].keys()];
  }

  /** All of them, in the order they were added; or those named. */
  run(probe: 'livez' | 'readyz', names: readonly string[] = this.names(probe)): Promise<readonly CheckResult[]> {
    return Promise.all(names.map(async (name) => ({ name, isOk: await passes(this.#checks[probe].get(name)) })));
  }

  beforeApplicationShutdown(): void {
    this.#isStopping = true;
  }
}

async function passes(check: (() => unknown) | undefined): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), TIMEOUT_MS);
  });
  try {
    return await Promise.race([Promise.resolve(check?.()).then(() => true), timeout]);
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
