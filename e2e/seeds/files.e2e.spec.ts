import { createHash, randomBytes } from 'node:crypto';
import { call, deleteVm, exec, runningVm, VMS } from '../api.ts';

describe('E2: files in and out of the guest', () => {
  let vm: string;
  beforeAll(async () => (vm = await runningVm()));
  afterAll(() => deleteVm(vm));
  const files = (path: string, query = ''): string => `${VMS}/${vm}/files?path=${encodeURIComponent(path)}${query}`;

  it('16 MiB go in and come out with the same digest, and the guest agrees', async () => {
    const bytes = randomBytes(16 * 1024 * 1024);
    const digest = createHash('sha256').update(bytes).digest('hex');
    expect((await call('PUT', files('/tmp/big'), bytes, { 'content-type': 'application/octet-stream' })).status).toBe(200);
    expect((await exec(vm, 'sha256sum /tmp/big')).stdout).toContain(digest);
    const out = await call('GET', files('/tmp/big'));
    expect(createHash('sha256').update(out.body).digest('hex')).toBe(digest);
  });

  it('lists a folder with types and sizes', async () => {
    await exec(vm, 'mkdir -p /tmp/d/sub && printf 12345 > /tmp/d/five');
    const { body } = await call('GET', files('/tmp/d', '&list=true'));
    expect(body.entries).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'five', type: 'File', sizeBytes: 5 }),
        expect.objectContaining({ name: 'sub', type: 'Directory' }),
      ]),
    );
  });

  it('says 404 for a file that is not there', async () => {
    expect((await call('GET', files('/no/such/file'))).status).toBe(404);
  });
});
