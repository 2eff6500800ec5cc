import { jest } from '@jest/globals';
import { objectClientContract } from '@corral/testing';
import { startApi, type ApiFixture } from '../../testing/api-fixture.ts';

jest.setTimeout(60_000);

let api: ApiFixture;
beforeAll(async () => {
  api = await startApi();
}, 60_000);
afterAll(() => api.stop());

objectClientContract('The in-process client', () => ({
  client: api.client,
  forgetHistory: async () => {
    await api.request('POST', '/admin/change-log/compactions', {});
  },
}));
