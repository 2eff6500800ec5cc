import { ApiConfig } from './api-config.ts';

const good = {
  DATABASE_URL: 'postgresql://corral:secret@127.0.0.1:5432/corral',
  REDIS_URL: 'redis://127.0.0.1:6379',
  S3_ENDPOINT: 'http://127.0.0.1:9000',
  S3_ACCESS_KEY_ID: 'key',
  S3_SECRET_ACCESS_KEY: 'secret',
  CORRAL_ADMIN_TOKEN: 'a'.repeat(16),
  CORRAL_NODE_TOKEN: 'n'.repeat(16),
};

it('has defaults for what need not be said', () => {
  expect(ApiConfig.parse(good)).toMatchObject({ host: '127.0.0.1', port: 8086, exitOnStdinEof: false, s3: { region: 'us-east-1', bucket: 'corral' } });
});

it('takes an empty variable for one that is not set', () => {
  const empty = { CORRAL_HOST: '', CORRAL_PORT: '', S3_REGION: '', S3_BUCKET: '' };
  expect(ApiConfig.parse({ ...good, ...empty })).toEqual(ApiConfig.parse(good));
});

it.each([
  ['DATABASE_URL', 'mysql://127.0.0.1/corral'],
  ['DATABASE_URL', 'nonsense'],
  ['DATABASE_URL', undefined],
  ['REDIS_URL', 'http://127.0.0.1'],
  ['S3_ENDPOINT', 'ftp://127.0.0.1'],
  ['CORRAL_PORT', '70000'],
  ['CORRAL_PORT', 'http'],
  ['CORRAL_PORT', '0x'],
  ['CORRAL_PORT', '1e3'],
  ['DATABASE_URL', 'postgres://'],
  ['REDIS_URL', 'redis://'],
  ['CORRAL_ROLES', 'api,worker'],
  ['CORRAL_ROLES', ','],
  ['CORRAL_ADMIN_TOKEN', 'short'],
  ['CORRAL_EXIT_ON_STDIN_EOF', 'yes'],
])('names %s when it is %s', (name, value) => {
  const parsed = ApiConfig.safeParse({ ...good, [name]: value });
  expect(parsed.error?.issues.map(({ path }) => path[0])).toEqual([name]);
  if (/PORT|URL/.test(name)) expect(parsed.error?.issues[0]?.message).toMatch(/^must be an? /);
});

it('does everything in one process unless roles are named', () => {
  expect(ApiConfig.parse(good).roles).toEqual(['api', 'controllers', 'scheduler']);
  expect(ApiConfig.parse({ ...good, CORRAL_ROLES: 'scheduler, api' }).roles).toEqual(['scheduler', 'api']);
});
