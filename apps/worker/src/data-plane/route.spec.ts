import { DATA_PLANE_OPERATIONS, dataPlanePath, Problem } from '@corral/contracts';
import { checkClaims, parseRoute } from './route.ts';

const UID = 'd5a1bd84-4c63-4a6c-9a63-1f4a77a1a001';

describe('parseRoute', () => {
  it.each(DATA_PLANE_OPERATIONS)('reads what gateways write, for %s', (operation) => {
    expect(parseRoute(dataPlanePath(UID, 7, operation))).toEqual({
      uid: UID,
      incarnation: 7,
      operation,
      target: `/${operation}`,
    });
    expect(parseRoute(`${dataPlanePath(UID, 7, operation)}?a=%2F..&b=`)?.target).toBe(`/${operation}?a=%2F..&b=`);
  });

  it.each([
    '/',
    '/v1/machines',
    `/v1/machines/${UID}/7`,
    `/v1/machines/${UID}/seven/exec`,
    `/v1/machines/${UID}/7/shutdown`,
    `/v1/machines/${UID}/7/exec/more`,
    `/v1/machines/../${UID}/7/exec`,
    `/v1/machines/${UID}%2F7/7/exec`,
    `http://elsewhere/v1/machines/${UID}/7/exec`,
  ])('knows no other path: %s', (path) => {
    expect(parseRoute(path)).toBeUndefined();
  });
});

describe('checkClaims', () => {
  const route = { uid: UID, incarnation: 7, operation: 'exec', target: '/exec' } as const;

  it('lets in who was sent for exactly this', () => {
    expect(() => checkClaims(route, { uid: UID, incarnation: 7, operation: 'exec' })).not.toThrow();
  });

  it.each([{ uid: 'another' }, { incarnation: 6 }, { operation: 'files' as const }])(
    'refuses a token for %j',
    (claim) => {
      expect(() => checkClaims(route, { uid: UID, incarnation: 7, operation: 'exec', ...claim })).toThrow(Problem);
    },
  );
});
