import { jest } from '@jest/globals';
import fc from 'fast-check';
import { authorization, startApi, type ApiStack } from '../../test/api-stack.ts';
import { fuzzAgent, requestsTo, send, type FuzzedAnswer, type FuzzedRequest, type FuzzedRoute } from '../../test/fuzz/fuzzed-request.ts';
import type { Schema } from '../../test/fuzz/schema-values.ts';

/** `npm run fuzz` sends 20,000. CORRAL_FUZZ_SEED and CORRAL_FUZZ_PATH, which a failure prints, send the same again. */
const REQUESTS = Number(process.env['CORRAL_FUZZ_REQUESTS'] ?? 400);
const SEED = process.env['CORRAL_FUZZ_SEED'];
const PATH = process.env['CORRAL_FUZZ_PATH'];
/** Far more than any answer takes, also on a machine that does much else. */
const ANSWER_TIMEOUT_MS = 20_000;
jest.setTimeout(60_000 + REQUESTS * 100);

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>> & { readonly parameters?: readonly { readonly name: string }[] }>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}
interface Operation {
  readonly parameters?: readonly { readonly name: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: Schema }>> };
  readonly 'x-kubernetes-group-version-kind'?: { readonly group: string; readonly version: string; readonly kind: string };
}

describe('any request to any route', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  it(`is answered, and never with an error of the server: ${REQUESTS} requests`, async () => {
    const { routes, schemas } = await readRoutes(stack);
    const token = authorization.authorization.replace('Bearer ', '');
    const agent = fuzzAgent();
    const statuses = new Map<number, number>();
    const property = fc.asyncProperty(requestsTo(routes, schemas), async (request) => {
      const answer = await send(stack.url, token, request, agent, ANSWER_TIMEOUT_MS);
      statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
      const fault = faultOf(request, answer);
      if (fault) throw new Error(fault);
    });
    const replay = SEED === undefined ? {} : { seed: Number(SEED), ...(PATH === undefined ? {} : { path: PATH }) };
    try {
      await fc.assert(property, { numRuns: REQUESTS, interruptAfterTimeLimit: 60_000 * 60, ...replay, reporter: undefined as never, asyncReporter: report });
    } finally {
      agent.destroy();
      if (REQUESTS > 1000) process.stdout.write(`answers: ${[...statuses].sort(([a], [b]) => a - b).map(([status, count]) => `${status}: ${count}`).join(', ')}\n`);
    }
    expect((await stack.fetch('/readyz')).status).toBe(200);
  });
});

/** What is wrong with the answer, if anything is. */
function faultOf({ method, target }: FuzzedRequest, { status, contentType, text }: FuzzedAnswer): string | undefined {
  // Kubernetes's own answer to a version from the future.
  const isFromTheFuture = status === 504 && text.includes('ResourceVersionTooLarge');
  if (status >= 500 && !isFromTheFuture) return `answered ${status}: ${text}`;
  // Health checks speak text, as Kubernetes's do.
  if (status < 400 || method === 'HEAD' || /^\/(livez|readyz|healthz)\//.test(target)) return undefined;
  if (!contentType.startsWith('application/json')) return `answered ${status} as ${contentType}, not as a Status`;
  const body = JSON.parse(text) as { kind?: unknown; code?: unknown; reason?: unknown };
  return body.kind === 'Status' && body.code === status && typeof body.reason === 'string' ? undefined : `answered ${status} with what is no Status: ${text}`;
}

async function report(details: fc.RunDetails<[FuzzedRequest]>): Promise<void> {
  if (!details.failed) return;
  const [request] = details.counterexample ?? [];
  const sent = request && { ...request, body: request.body === undefined ? undefined : Buffer.from(request.body).toString('latin1').slice(0, 3_000) };
  const cause = details.errorInstance instanceof Error ? details.errorInstance.message : String(details.errorInstance);
  throw new Error(`${cause}\nafter ${details.numRuns} requests\nreplay: CORRAL_FUZZ_SEED=${details.seed} CORRAL_FUZZ_PATH=${details.counterexamplePath ?? ''}\n${JSON.stringify(sent, undefined, 1)}`);
}

/** Every route of the OpenAPI document, and those the server registered beside it. */
async function readRoutes(stack: ApiStack): Promise<{ routes: FuzzedRoute[]; schemas: Record<string, Schema> }> {
  const read = async <T>(path: string): Promise<T> => (await (await stack.fetch(path)).json()) as T;
  const index = await read<{ paths: Record<string, { serverRelativeURL: string }> }>('/openapi/v3');
  const schemas: Record<string, Schema> = {};
  const routes: FuzzedRoute[] = [];
  for (const { serverRelativeURL } of Object.values(index.paths)) {
    const document = await read<Document>(serverRelativeURL);
    Object.assign(schemas, document.components.schemas);
    for (const [path, { parameters: shared = [], ...operations }] of Object.entries(document.paths)) {
      for (const [method, { parameters = [], requestBody, 'x-kubernetes-group-version-kind': type }] of Object.entries(operations as Record<string, Operation>)) {
        routes.push({
          method: method.toUpperCase(), path,
          parameters: [...(shared as readonly { name: string }[]), ...parameters].map(({ name }) => name),
          body: Object.values(requestBody?.content ?? {})[0]?.schema,
          type: type && { apiVersion: type.group === '' ? type.version : `${type.group}/${type.version}`, kind: type.kind },
        });
      }
    }
  }
  const documented = new Set(routes.map(({ method, path }) => `${method} ${path.replaceAll(/\{[^}]*\}/g, ':')}`));
  for (const { method, path } of stack.routes) {
    if (!documented.has(`${method} ${path.replaceAll(/:[^/]+/g, ':')}`)) routes.push({ method, path, parameters: [], body: undefined, type: undefined });
  }
  return { routes, schemas };
}
