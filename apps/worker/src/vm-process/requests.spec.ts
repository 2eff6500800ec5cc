import fc from 'fast-check';
import { ExecRequest, InputRequest } from '@corral/contracts';
import { Problem } from '@corral/contracts/for-vm-process';
import { execRequest, inputRequest, readBody, replayBytes } from './requests.ts';

const word = fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('move', 'left', 'down', '__proto__', 'x'.repeat(4097)));
const size = fc.oneof(fc.integer({ min: -12, max: 12 }), fc.constantFrom(0, 0.5, -1, 3600, 3600.5, 2 ** 53, 1e300));
/** Near enough to be right now and then: each field is right, wrong or absent, and one may be too many. */
const near = (fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> =>
  fc.tuple(fc.record(Object.fromEntries(Object.entries(fields).map(([key, right]) => [key, fc.oneof({ weight: 6, arbitrary: right }, fc.constantFrom<unknown>(null, 7, '', [], {}))])), { requiredKeys: [] }), fc.option(fc.constantFrom('other', 'type'), { freq: 5, nil: undefined })).map(([body, extra]) => (extra === undefined ? body : { [extra]: 1, ...body }));

const execs = near({ command: fc.array(word, { maxLength: 3 }), stdin: word, env: fc.dictionary(word, word, { maxKeys: 3 }), cwd: word, timeoutSeconds: size });
const inputs = fc.oneof(
  near({ type: fc.constant('text'), text: word }),
  near({ type: fc.constant('keys'), codes: fc.array(word, { maxLength: 10 }) }),
  near({ type: fc.constant('mouse'), x: size, y: size, action: word, button: word, wheel: size }),
);

describe.each([['a command', ExecRequest, execRequest, execs], ['input', InputRequest, inputRequest, inputs]] as const)('A body that asks for %s', (_, schema, shape, bodies) => {
  it('is read here as the contract has it, and refused where the contract refuses it', () => {
    let accepted = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 8, arbitrary: bodies }, fc.jsonValue()), (made) => {
        // As it travels.
        const body: unknown = JSON.parse(JSON.stringify(made));
        const expected = schema.safeParse(body);
        let read: unknown;
        try {
          read = readBody<unknown>(shape, body);
        } catch (error) {
          expect(error).toBeInstanceOf(Problem);
          expect((error as Problem).code).toBe('object.invalid');
          expect(expected.success).toBe(false);
          return;
        }
        accepted += 1;
        expect(expected).toMatchObject({ success: true });
        expect(read).toEqual(expected.data);
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });
});

it('a refusal names the field', () => {
  expect(() => readBody(execRequest, { command: ['ls', 7] })).toThrow(expect.objectContaining({ details: { causes: [expect.objectContaining({ field: 'command[1]' })] } }));
});

it.each([['', 0], ['replay=7', 7], ['replay=-1', 0], ['replay=1.5', 0], ['replay=x', 0], ['replay=1e99', 0]])('a viewer that asks with ?%s sees %i bytes of the past', (query, bytes) => {
  expect(replayBytes(new URLSearchParams(query))).toBe(bytes);
});
