import fc from 'fast-check';
import { Refusal } from './refusal.ts';
import { mapRefusal } from './validation.ts';

const PATHS = { name: ['metadata.name'], memory: ['spec.memory'], source: ['spec.source'], spec: ['spec'] } as const;
const invalid = (...causes: { field?: string; message: string }[]): Refusal =>
  new Refusal(422, 'Invalid', 'the whole text', {
    status: {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      reason: 'Invalid',
      code: 422,
      details: { causes: causes.map((cause) => ({ reason: 'FieldValueInvalid', ...cause })) },
    },
  });

describe('mapRefusal', () => {
  it('shows every bad field at once, each at its place', () => {
    const refusal = invalid(
      { field: 'metadata.name', message: 'is no DNS label' },
      { field: 'spec.memory', message: 'too little' },
      { field: 'spec.source.image', message: 'does not exist' },
      { field: 'spec.memory', message: 'not whole' },
    );
    expect(mapRefusal(refusal, PATHS)).toEqual({
      fields: { name: ['is no DNS label'], memory: ['too little', 'not whole'], source: ['does not exist'] },
      others: [],
    });
  });

  it.each([
    ['spec.sourceless', 'spec'],
    ['spec.source[0]', 'source'],
    ['spec', 'spec'],
  ])('%s belongs to %s: a path is not a string prefix', (field, owner) => {
    expect(mapRefusal(invalid({ field, message: 'm' }), PATHS).fields).toEqual({ [owner]: ['m'] });
  });

  it('says above the form what names no field of it, and a refusal without causes', () => {
    expect(
      mapRefusal(invalid({ field: 'metadata.labels', message: 'bad' }, { message: 'alone' }), PATHS).others,
    ).toEqual(['metadata.labels: bad', 'alone']);
    expect(mapRefusal(new Refusal(403, 'Forbidden', 'over quota'), PATHS)).toEqual({
      fields: {},
      others: ['over quota'],
    });
  });

  it('loses and repeats nothing', () => {
    const cause = fc.record({
      field: fc.constantFrom('metadata.name', 'spec.memory', 'spec.x', 'metadata.labels.a', 'kind'),
      message: fc.string({ minLength: 1 }),
    });
    fc.assert(
      fc.property(fc.array(cause, { minLength: 1 }), (causes) => {
        const { fields, others } = mapRefusal(invalid(...causes), PATHS);
        return Object.values(fields).flat().length + others.length === causes.length;
      }),
    );
  });
});
