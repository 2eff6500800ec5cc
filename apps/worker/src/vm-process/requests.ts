import { integer, list, Misshapen, number, object, oneOf, optional, record, type Shape, tagged, text, withDefault } from '@corral/base/shape';
import type { ExecRequest, InputRequest } from '@corral/contracts';
import { Problem } from '@corral/contracts/for-vm-process';

// What the contracts' schemas read, without what they load; that both read the same is tested.
const strict = { strict: true } as const;

export const execRequest: Shape<ExecRequest> = object(
  {
    command: list(text(), { min: 1 }),
    stdin: withDefault(text(), ''),
    env: withDefault(record(text()), {}),
    cwd: withDefault(text(), ''),
    timeoutSeconds: withDefault(number({ above: 0, max: 3600 }), 60),
  },
  strict,
);

export const inputRequest: Shape<InputRequest> = tagged({
  text: object({ text: text({ max: 4096 }) }, strict),
  keys: object({ codes: list(text(), { min: 1, max: 8 }) }, strict),
  mouse: object(
    {
      x: optional(integer({ min: 0 })),
      y: optional(integer({ min: 0 })),
      action: withDefault(oneOf('move', 'click', 'down', 'up'), 'move'),
      button: withDefault(oneOf('left', 'middle', 'right'), 'left'),
      wheel: optional(integer({ min: -10, max: 10 })),
    },
    strict,
  ),
});

/** Reads a body; what is wrong with it is a Problem that names the field. */
export function readBody<T>(shape: Shape<T>, body: unknown): T {
  try {
    return shape(body);
  } catch (error) {
    if (!(error instanceof Misshapen)) throw error;
    throw new Problem('object.invalid', error.message, { details: { causes: [{ reason: 'FieldValueInvalid', field: error.at, message: error.message }] } });
  }
}

/** How many bytes of the past a viewer of the serial line asks for; what is no number asks for none. */
export function replayBytes(query: URLSearchParams): number {
  const bytes = Number(query.get('replay') ?? 0);
  return Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : 0;
}
