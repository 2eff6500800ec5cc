import { Problem, type ProblemCode, PROBLEMS, toStatus } from '@corral/contracts';
import { problemOf } from './status-problem.ts';

/** Codes that share a reason come back as the one a client means. */
const CLIENT_SIDE: Partial<Record<ProblemCode, ProblemCode>> = {
  'route.not-found': 'object.not-found',
  'version.not-reached': 'wait.timed-out',
  'request.timed-out': 'wait.timed-out',
  'quotas.unknown': 'object.conflict',
};

describe('problemOf', () => {
  it.each(Object.keys(PROBLEMS) as ProblemCode[])('gives %s back from the Status the server makes of it', (code) => {
    const status = toStatus(
      new Problem(code, 'why', {
        details: { name: 'demo', causes: [{ reason: 'FieldValueInvalid', message: 'm', field: 'spec' }] },
      }),
    );
    const problem = problemOf(status.code, JSON.parse(JSON.stringify(status)));
    expect(problem.code).toBe(CLIENT_SIDE[code] ?? code);
    if (code !== 'internal') expect([problem.message, problem.details?.name]).toEqual(['why', 'demo']);
  });

  it.each([
    [404, 'object.not-found'],
    [409, 'object.conflict'],
    [410, 'version.expired'],
    [429, 'request.too-many'],
    [502, 'dependency.unavailable'],
    [401, 'request.unauthenticated'],
    [403, 'request.forbidden'],
    [418, 'request.malformed'],
  ] as const)('goes by the HTTP status %i when the body is not a Status', (status, code) => {
    expect(problemOf(status, '<html>').code).toBe(code);
    expect(problemOf(status, undefined).code).toBe(code);
  });
});
