import { type Readable } from 'node:stream';
import { formatPath, valueAtParts } from '@corral/api-machinery';
import { Problem, type FieldProblem } from '@corral/contracts';
import { type z } from 'zod';

/** As much as the API takes of any other JSON body. Source: k8s.io/apiserver, MaxRequestBodyBytes. */
const MAX_JSON_BYTES = 3 * 1024 * 1024;
const MAX_ARRIVAL_MS = 30_000;

/** Reads and checks a small JSON body. Refusals name every wrong field: `request.malformed`, `request.too-large`, `object.invalid`. */
export async function readJson<T>(body: Readable, schema: z.ZodType<T>, announcedLength = '0'): Promise<T> {
  if (Number(announcedLength) > MAX_JSON_BYTES) throw tooLarge();
  const value = parseJson(await readText(body));
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const causes = parsed.error.issues.flatMap((issue) => fieldProblems(issue, value));
  const lines = causes.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`));
  throw new Problem('object.invalid', `the request is invalid: ${lines.join('; ')}`, { details: { causes } });
}

const tooLarge = (): Problem => new Problem('request.too-large', `the body must be at most ${MAX_JSON_BYTES} bytes`);

async function readText(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const late = setTimeout(() => body.destroy(new Problem('request.timed-out', `the body did not arrive within ${MAX_ARRIVAL_MS / 1000} seconds`)), MAX_ARRIVAL_MS);
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_JSON_BYTES) throw tooLarge();
      chunks.push(chunk);
    }
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  if (text.trim() === '') throw new Problem('request.malformed', 'the body is empty; a JSON object is expected');
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new Problem('request.malformed', 'the body is not valid JSON', { cause });
  }
}

function fieldProblems(issue: z.core.$ZodIssue, body: unknown): FieldProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ field: formatPath([...issue.path, key]), reason: 'FieldUnknown', message: 'unknown field' }));
  }
  const field = formatPath(issue.path);
  if (issue.path.length > 0 && valueAtParts(body, issue.path) === undefined) return [{ field, reason: 'FieldValueRequired', message: 'must be given' }];
  const reason = issue.code === 'invalid_type' ? 'FieldValueTypeInvalid' : issue.code === 'invalid_value' || issue.code === 'invalid_union' ? 'FieldValueNotSupported' : 'FieldValueInvalid';
  return [{ field, reason, message: issue.message }];
}
