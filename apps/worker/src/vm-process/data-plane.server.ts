import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ExecRequest, Problem } from '@corral/contracts';
import { z } from 'zod';
import { runCommand } from './exec.run.ts';
import { readJson, respondError, respondJson } from './respond.ts';
import type { Vm } from './vm.ts';

/** Serves the data plane (libs/contracts, data-plane.ts) of one machine. */
export class DataPlaneServer {
  readonly #vm: Vm;
  readonly #server: Server;

  constructor(vm: Vm) {
    this.#vm = vm;
    this.#server = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => respondError(response, error));
    });
  }

  listen(socketPath: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socketPath, () => {
        this.#server.removeListener('error', reject);
        resolve();
      });
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://vm');
    switch (`${request.method} ${url.pathname}`) {
      case 'POST /exec': {
        const body = parse(ExecRequest, await readJson(request));
        const abort = new AbortController();
        response.once('close', () => abort.abort());
        return respondJson(response, 200, await runCommand(this.#vm.agent(), body, abort.signal));
      }
      default:
        throw new Problem('route.not-found', `the machine does not serve ${request.method} ${url.pathname}`);
    }
  }
}

/** Parses a body; what is wrong with it becomes a Problem that names each field. */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new Problem('object.invalid', z.prettifyError(parsed.error), {
    details: {
      causes: parsed.error.issues.map(({ path, message }) => ({ reason: 'FieldValueInvalid', field: path.join('.'), message })),
    },
  });
}
