import { resourceQuotas, secrets } from '@corral/contracts';
import { RequestMetrics } from '../../platform/telemetry/request-metrics.ts';
import { eventually, startApi, type ApiStack } from '../../../test/api-stack.ts';

describe('the figures of a quota', () => {
  let stack: ApiStack;
  beforeAll(async () => {
    stack = await startApi();
  }, 60_000);
  afterAll(() => stack.stop(), 30_000);

  const used = async (name: string) => (await stack.admin.get(resourceQuotas, 'default', name))?.status?.used?.['count/secrets'];
  const corrections = async (): Promise<number> => {
    const metric = await stack.app.get(RequestMetrics).registry.getSingleMetric('corral_quota_corrections_total')?.get();
    return metric?.values[0]?.value ?? 0;
  };

  it('are put right when they are wrong, and that is told', async () => {
    await stack.admin.create(secrets, { metadata: { name: 'one', namespace: 'default' } });
    await stack.admin.create(resourceQuotas, { metadata: { name: 'right', namespace: 'default' }, spec: { hard: { 'count/secrets': '5' } } });
    const quota = await stack.admin.create(resourceQuotas, { metadata: { name: 'wrong', namespace: 'default' }, spec: { hard: { 'count/secrets': '5' } } });
    expect(await used('wrong')).toBe('1');
    const before = await corrections();
    await eventually(async () => {
      const current = await stack.admin.get(resourceQuotas, 'default', 'wrong');
      return current && stack.admin.replaceStatus(resourceQuotas, { ...current, status: { hard: quota.spec?.hard ?? {}, used: { 'count/secrets': '4' } } });
    }, 'the wrong figure is written');
    await eventually(async () => (await used('wrong')) === '1', 'the figure is right again', 20_000);
    expect(await used('right')).toBe('1');
    expect(await corrections()).toBe(before + 1);
  }, 40_000);
});
