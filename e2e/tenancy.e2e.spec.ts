import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Browser, type Page } from 'playwright-core';
import { call, uniqueName } from './api.ts';
import { stack } from './stack.ts';

const CHROMIUMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const QUIET = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const PATIENCE_MS = 30_000;
const JOURNEY_MS = 120_000;

let browser: Browser;
beforeAll(async () => {
  const executablePath = CHROMIUMS.find((path) => existsSync(path));
  if (executablePath === undefined) throw new Error('the console is tested in a real browser: install chromium (Debian: apt-get install chromium)');
  browser = await chromium.launch({ executablePath, args: QUIET });
});
afterAll(() => browser?.close());

async function signedIn(path: string, token = stack().adminToken, viewport = { width: 1440, height: 900 }): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // The browser notes each refused request itself; those are answers here.
    if (['error', 'warning'].includes(message.type()) && !/status of (401|403|409)/.test(message.text())) complaints.push(message.text());
  });
  await page.goto(stack().url + path);
  await page.getByLabel('Access token').fill(token);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  await page.getByRole('heading', { level: 1 }).waitFor();
  return { page, complaints };
}

async function accessibilityFaults(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']).analyze();
  return violations.flatMap(({ id, nodes }) => nodes.map(({ html, any }) => `${id}: ${html} ${any.map(({ message }) => message).join(' ')}`));
}

const overflows = (page: Page): Promise<boolean> => page.evaluate(() => document.documentElement.scrollWidth > document.documentElement.clientWidth);

describe('tenants and the audit log in a real browser', () => {
  const tenant = uniqueName('tenant');
  afterAll(async () => {
    await call('DELETE', `/api/v1/namespaces/${tenant}`);
  });

  it(
    'creates a tenant with administrators and a quota, by keyboard, and shows who did it',
    async () => {
      const { page, complaints } = await signedIn('/tenants');
      await page.getByRole('list', { name: 'Tenants' }).waitFor();
      await page.keyboard.press('n');
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name').fill('Not a name');
      await dialog.getByText('Must be lower case letters').waitFor();
      expect(await dialog.getByRole('button', { name: 'Create tenant' }).isDisabled()).toBe(true);
      await dialog.getByLabel('Name').fill(tenant);
      await page.keyboard.press('Tab');
      await page.keyboard.type('ana, ben');
      await page.keyboard.press('Tab');
      await page.keyboard.type('3');
      await page.keyboard.press('Tab');
      await page.keyboard.type('512');
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.keyboard.press('Enter');
      await dialog.waitFor({ state: 'detached' });

      const card = page.getByRole('listitem').filter({ has: page.getByRole('heading', { name: tenant, exact: true }) });
      await card.getByText('0 of 3', { exact: true }).waitFor();
      await card.getByText('512 MiB').waitFor();
      await card.getByText('ana, ben').waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
      const bound = await call('GET', `/apis/rbac.authorization.k8s.io/v1/namespaces/${tenant}/rolebindings/admins`);
      expect(bound.body.subjects.map(({ name }: { name: string }) => name)).toEqual(['ana', 'ben']);

      await card.getByRole('link', { name: `Audit log of ${tenant}` }).click();
      await page.getByRole('heading', { level: 1, name: 'Audit' }).waitFor();
      await page.getByText('rolebindings/admins', { exact: true }).waitFor();
      expect(new URL(page.url()).searchParams.get('ns')).toBe(tenant);
      expect(complaints).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'filters the audit log, opens a record by keyboard, links to what it shows, and follows its end',
    async () => {
      const { page, complaints } = await signedIn('/audit?ns=*');
      const table = page.getByRole('table');
      await table.waitFor();
      await page.keyboard.press('/');
      await page.keyboard.type('system:admin');
      await page.waitForURL('**user=system*');
      await page.getByLabel('Verb', { exact: true }).selectOption('create');
      await page.waitForURL('**verb=create*');
      await page.getByText(`namespaces/${tenant}`, { exact: true }).waitFor();

      // What happens meanwhile appears by itself.
      const name = uniqueName('seen');
      await call('POST', `/api/v1/namespaces/${tenant}/secrets`, { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { text: 'never-in-the-log' } });
      await page.getByText(`secrets/${name}`, { exact: true }).waitFor();
      await page.getByRole('button', { name: `Details of create secrets/${name}` }).focus();
      await page.keyboard.press('Enter');
      await page.getByText('Credential', { exact: true }).waitFor();
      await page.keyboard.press('ArrowDown');
      expect(await page.evaluate(() => document.activeElement?.getAttribute('aria-expanded'))).toBe('false');
      expect(await accessibilityFaults(page)).toEqual([]);
      expect(await page.content()).not.toContain('never-in-the-log');
      await page.getByRole('button', { name: 'Only this object' }).click();
      await page.waitForURL(`**name=${name}*`);

      await page.getByLabel('Name', { exact: true }).fill('nothing-has-this-name');
      await page.getByText('Nothing matches.').waitFor();
      await page.getByRole('heading', { level: 1 }).click();
      await page.keyboard.press('Escape');
      await table.waitFor();
      expect(complaints).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'says what somebody may not see, and shows them what they may; on a phone too',
    async () => {
      await call('POST', `/api/v1/namespaces/${tenant}/serviceaccounts`, { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'reader' } });
      await call('POST', `/apis/rbac.authorization.k8s.io/v1/namespaces/${tenant}/rolebindings`, {
        apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata: { name: 'readers' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'admin' }, subjects: [{ kind: 'ServiceAccount', name: 'reader', namespace: tenant }],
      });
      const { body } = await call('POST', `/api/v1/namespaces/${tenant}/serviceaccounts/reader/token`, {});
      const { page, complaints } = await signedIn('/audit?ns=*', body.status.token, { width: 390, height: 844 });
      await page.getByText('You can’t list the audit log.').waitFor();
      await page.goto(`${stack().url}/audit?ns=${tenant}`);
      await page.getByText('rolebindings/readers', { exact: true }).waitFor();
      expect(await overflows(page)).toBe(false);
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.goto(`${stack().url}/tenants?ns=${tenant}`);
      await page.getByText('You can’t list namespaces.').waitFor();
      expect(await overflows(page)).toBe(false);
      expect(complaints).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );
});
