import { auditQuery } from './audit-filter.ts';

it.each([
  [{}, { limit: 100 }, 'limit=100'],
  [
    { user: 'ana', outcome: 'Denied' as const },
    { limit: 100 },
    'limit=100&fieldSelector=user.username%3Dana%2Cdecision%3DDenied',
  ],
  [
    { resource: 'virtualmachines', name: 'demo', verb: '' },
    { limit: 5, continue: '17' },
    'limit=5&fieldSelector=objectRef.resource%3Dvirtualmachines%2CobjectRef.name%3Ddemo&continue=17',
  ],
  // No text of a filter becomes a requirement of its own.
  [{ user: 'ana,verb=delete' }, { limit: 5 }, 'limit=5&fieldSelector=user.username%3Danaverb%3Ddelete'],
])('%j %j', (filter, page, expected) => {
  expect(auditQuery(filter, page)).toBe(expected);
});
