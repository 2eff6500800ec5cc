import { configProblem, WorkerConfig } from './config.ts';

const ENVIRONMENT = {
  CORRAL_API_URL: 'http://127.0.0.1:8086',
  CORRAL_NODE_TOKEN: 'node-token',
  CORRAL_WORKER_HOME: '/var/lib/corral',
  CORRAL_FIRMWARE_DIR: '/usr/share/corral',
  S3_ENDPOINT: 'http://127.0.0.1:9000',
  S3_ACCESS_KEY_ID: 'id',
  S3_SECRET_ACCESS_KEY: 'key',
};

describe('WorkerConfig', () => {
  it('needs nothing but addresses, credentials and folders', () => {
    expect(WorkerConfig.parse(ENVIRONMENT)).toMatchObject({
      nodeName: 'worker-1',
      poolMaximum: 24,
      dataPlane: { host: '127.0.0.1', port: 0 },
      redisUrl: undefined,
      exitOnStdinEof: false,
      objectStore: { bucket: 'corral', region: 'us-east-1' },
    });
  });

  it.each([
    ['CORRAL_API_URL', 'ftp://somewhere'],
    ['CORRAL_NODE_TOKEN', ''],
    ['CORRAL_NODE_NAME', 'Not A Name'],
    ['CORRAL_DATA_PLANE_PORT', '70000'],
    ['CORRAL_DATA_PLANE_PORT', '0x'],
    ['REDIS_URL', 'redis://'],
    ['CORRAL_POOL_SIZE', 'many'],
    ['CORRAL_MEMORY_MODE', 'Fast'],
    ['REDIS_URL', 'http://127.0.0.1'],
    ['S3_ENDPOINT', 'nowhere'],
    ['S3_BUCKET', 'No Bucket'],
    ['CORRAL_WORKER_HOME', undefined],
  ])('names %s in one line when it is %j', (name, value) => {
    const parsed = WorkerConfig.safeParse({ ...ENVIRONMENT, [name]: value });
    const line = parsed.error ? configProblem(parsed.error) : 'accepted';
    expect(line).toMatch(new RegExp(`^${name}: [^\\n]+$`));
    if (/PORT|URL|ENDPOINT/.test(name)) expect(line).toMatch(/^\w+: must be an? /);
  });
});
