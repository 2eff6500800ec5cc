import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Browser, type Locator, type Page, type WebSocketRoute } from 'playwright-core';
import { call, runningVm, SNAPSHOTS, uniqueName, VMS } from './api.ts';
import { stack } from './stack.ts';

const CHROMIUMS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Emulated guests share two cores with the browser. */
const PATIENCE_MS = 60_000;
/** Many steps, each with its own, shorter deadline. */
const JOURNEY_MS = 300_000;

let browser: Browser;

beforeAll(async () => {
  const executablePath = CHROMIUMS.find((path) => existsSync(path));
  if (executablePath === undefined)
    throw new Error('the console is tested in a real browser: install chromium (Debian: apt-get install chromium)');
  browser = await chromium.launch({ executablePath, args: QUIET });
});

afterAll(() => browser?.close());

/** A page of its own, and everything it complained about. */
async function openPage(viewport = { width: 1440, height: 900 }): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext({ viewport });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // The browser itself notes each refused request: "nobody is signed in yet", "no screen now" and "not valid" are answers here.
    const isAnswer = /status of (401|409|422)/.test(message.text());
    if (['error', 'warning'].includes(message.type()) && !isAnswer)
      complaints.push(`${message.text()} ${message.location().url}`);
  });
  return { page, complaints };
}

async function signIn(page: Page, wanted = '/machines'): Promise<void> {
  await page.goto(stack().url + wanted);
  await page.getByLabel('Access token').fill(stack().adminToken);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`**${wanted}*`);
}

/** Faults of WCAG 2.2 A and AA that a program can find. */
async function accessibilityFaults(page: Page, looksAt: 'Everything' | 'Contrast' = 'Everything'): Promise<string[]> {
  const axe = new AxeBuilder({ page });
  const { violations } = await (looksAt === 'Everything' ? axe.withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']) : axe.withRules(['color-contrast'])).analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, any }) => `${id}: ${html} ${any.map(({ message }) => message).join(' ')}`),
  );
}

async function poll<T>(read: () => Promise<T>, accept: (value: T) => boolean, what: string): Promise<T> {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    if (Date.now() > until) throw new Error(`${what}; last seen: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Types a line into the terminal in view and waits until the guest's answer stands in it. */
async function ask(page: Page, line: string, answer: RegExp): Promise<void> {
  await page.getByText('Connected').or(page.getByText('Nothing was printed yet')).waitFor();
  await page.locator('.xterm-screen').click();
  await page.keyboard.type(line);
  await page.keyboard.press('Enter');
  await poll(
    () => page.locator('.xterm-rows').innerText(),
    (text) => answer.test(text),
    `no ${answer} in the terminal`,
  );
}

const heading = (page: Page, name: string): Locator => page.getByRole('heading', { level: 1, name, exact: true });
const running = (page: Page): Locator => page.locator('main').getByText('Running', { exact: true }).first();

async function createHere(page: Page, name: string): Promise<void> {
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).fill(name);
  await dialog.getByText(/The server would accept this|Continues where/).waitFor();
  await page.keyboard.press('Control+Enter');
  await page.waitForURL(`**/machines/default/${name}/screen*`);
  await heading(page, name).waitFor();
  await running(page).waitFor();
}

describe('the console in a real browser', () => {
  const machine = uniqueName('console');
  const restored = `${machine}-again`;
  const created: string[] = [];

  afterAll(async () => {
    for (const name of created) await call('DELETE', `${VMS}/${name}`);
    const { body } = await call('GET', SNAPSHOTS);
    for (const { metadata, spec } of body.items)
      if (spec.virtualMachine === machine) await call('DELETE', `${SNAPSHOTS}/${metadata.name}`);
  });

  it(
    'takes a machine back to a moment of its past, chosen on the timeline and with the keyboard alone',
    async () => {
      const { page, complaints } = await openPage();
      const name = await runningVm();
      created.push(name);
      await signIn(page, `/machines/default/${name}/screen`);
      await running(page).waitFor();
      await page.getByText('No moments to go back to yet').waitFor();
      await page.keyboard.press('s');
      const moments = page.getByRole('slider', { name: `Moments of ${name}` });
      await moments.waitFor();
      await moments.focus();
      await page.keyboard.press('Home');
      expect(await moments.getAttribute('aria-valuetext')).toMatch(new RegExp(`^Snapshot ${name}-`));
      // What it showed then stands in the stage, and says so.
      await page.getByRole('img', { name: `Screen at ${name}-` }).waitFor();
      await page.getByText(/^Preview \d\d:\d\d:\d\d$/).waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.keyboard.press('Escape');
      await page.getByText(/^Preview/).waitFor({ state: 'detached' });
      await page.keyboard.press('Home');
      await page.getByRole('button', { name: 'Roll back…' }).press('Enter');
      const dialog = page.getByRole('dialog');
      await dialog.getByText('is given up').waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
      await dialog.getByRole('button', { name: 'Snapshot first, then roll back' }).press('Enter');
      await dialog.waitFor({ state: 'detached' });
      await poll(
        async () => (await call('GET', `${VMS}/${name}`)).body,
        ({ spec, status }) => spec.source.snapshot !== undefined && status.incarnation === 2 && status.phase === 'Running',
        'it went back',
      );
      // How it was then was kept, and is a moment of its own.
      await poll(
        () => moments.getAttribute('aria-valuemax'),
        (count) => count === '2',
        'both moments are there',
      );
      await page.goto(`${stack().url}/snapshots?draw=tree&q=machine%3A${name}`);
      await page.getByRole('treeitem').first().click();
      await page.getByText('stands alone').or(page.getByText('Parent')).first().waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
      // Whoever asked for the screen when the process ended is told that the machine is not there just now.
      expect(complaints.filter((complaint) => !/503.*\/screenshot/.test(complaint))).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'shows what a sleeping machine showed last, and wakes it up with all that is typed',
    async () => {
      const { page, complaints } = await openPage();
      const name = await runningVm();
      created.push(name);
      await signIn(page, `/machines/default/${name}/screen`);
      await running(page).waitFor();
      await page.getByText(/720 × 400/).waitFor();
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Hibernate' }).click();
      await page.getByText('It sleeps. Typing or a click wakes it.').waitFor();
      // The picture stays, and the page is no worse to use.
      expect(await page.locator('canvas').first().isVisible()).toBe(true);
      expect(await page.getByRole('button', { name: /^Fork/ }).isEnabled()).toBe(false);
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.getByRole('application', { name: `Screen of ${name}` }).focus();
      await page.keyboard.type('echo awake-$((6*7))');
      await page.keyboard.press('Enter');
      await poll(
        async () => String((await call('GET', `${VMS}/${name}/screenshot?format=text`)).body),
        (text) => /# echo awake-\$\(\(6\*7\)\)\s+awake-42/.test(text),
        'not all of it reached the machine',
      );
      await running(page).waitFor();
      // To be awake is nothing to worry about.
      await page.getByText('Hibernated Awake').waitFor();
      expect(await page.locator('aside').getByText('Hibernated Awake').locator('xpath=ancestor::li').locator('.text-attention').count()).toBe(0);
      // Whoever asked for the screen in between is told that there is none just now.
      expect(complaints.filter((complaint) => !/503.*\/screenshot/.test(complaint))).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'forks a machine: the copies are listed, and the moment they come from is nothing to go back to',
    async () => {
      const { page, complaints } = await openPage();
      const name = await runningVm();
      created.push(name);
      await signIn(page, `/machines/default/${name}/screen`);
      await running(page).waitFor();
      await page.keyboard.press('f');
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('How many').fill('2');
      expect(await accessibilityFaults(page)).toEqual([]);
      await dialog.getByRole('button', { name: 'Fork', exact: true }).click();
      await dialog.getByText('2 of 2 copies made.').waitFor();
      const copies = await dialog.getByRole('list', { name: 'Copies' }).getByRole('link').allInnerTexts();
      expect(copies).toHaveLength(2);
      created.push(...copies);
      await dialog.getByRole('link').first().click();
      await heading(page, copies[0] ?? '').waitFor();
      await running(page).waitFor();
      await page.getByText('Forked from').waitFor();
      await page.goto(`${stack().url}/machines/default/${name}/snapshots`);
      await page.getByText('No snapshots yet').or(page.getByText('No moments to go back to yet')).first().waitFor();
      await page.goto(`${stack().url}/nodes`);
      await page.getByText('No memory pressure').first().waitFor();
      await page.getByText(/^(Full|MapOnly|Copy) \(/).first().waitFor();
      expect(complaints).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'creates a machine, runs a command in it, and a machine restored from its snapshot knows what the first did',
    async () => {
      const { page, complaints } = await openPage();
      await signIn(page);

      await heading(page, 'Machines').waitFor();
      await page.keyboard.press('c');
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('Name', { exact: true }).fill('Not_a_Name');
      await dialog.getByRole('textbox', { name: 'Memory' }).fill('7');
      // Both at once, each at its field, in the server's words.
      await dialog.getByText('2 things to put right').waitFor();
      expect(await dialog.getByLabel('Name', { exact: true }).getAttribute('aria-invalid')).toBe('true');
      expect(await dialog.getByRole('textbox', { name: 'Memory' }).getAttribute('aria-invalid')).toBe('true');
      await dialog.getByRole('textbox', { name: 'Memory' }).fill('128');
      created.push(machine);
      await createHere(page, machine);

      // The picture is the guest's own: its size is known only once a still was drawn.
      await page.getByText(/720 × 400 · \d+ ms/).waitFor();
      await page.getByRole('tab', { name: 'Terminal' }).click();
      await ask(page, 'MARK=kept-$((40+2)); echo "now $MARK"', /now kept-42/);

      await page.getByRole('button', { name: 'Snapshot', exact: true }).click();
      const restore = page.getByRole('complementary').getByRole('button', { name: new RegExp(`^Restore ${machine}-`) });
      await restore.click();
      created.push(restored);
      await createHere(page, restored);
      await page.getByRole('tab', { name: 'Terminal' }).click();
      await ask(page, 'echo "still $MARK"', /still kept-42/);

      // A shell of its own beside the serial line, which does not share the serial shell's variables.
      await page.getByRole('button', { name: 'Shell' }).click();
      await ask(page, 'echo "shell [$MARK] $(stty size)"', /shell \[\] \d+ \d+/);

      // Two machines, live: what is paused elsewhere shows here by itself.
      await page
        .getByRole('link', { name: /^Machines/ })
        .first()
        .click();
      const tile = page.getByRole('link', { name: new RegExp(`^(?!.*again).*${machine}`) });
      await tile.waitFor();
      await call('PATCH', `${VMS}/${machine}`, { spec: { powerState: 'Paused' } });
      await tile.getByText('Paused').first().waitFor();

      expect(complaints).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'shows things as they were while the connection is cut, refuses writes, and heals by itself with what changed meanwhile',
    async () => {
      const { page } = await openPage();
      let isCut = false;
      const sockets = new Set<WebSocketRoute>();
      await page.routeWebSocket(/\/live$/, (socket) => {
        if (isCut) return void socket.close();
        sockets.add(socket);
        socket.connectToServer();
      });
      await call('PATCH', `${VMS}/${machine}`, { spec: { powerState: 'Running' } });
      await signIn(page);
      await page.goto(`${stack().url}/machines/default/${machine}/events`);
      await running(page).waitFor();

      isCut = true;
      await Promise.all([...sockets].map((socket) => socket.close()));
      await page.getByText('Connection lost.').waitFor();
      expect(await page.getByRole('button', { name: 'Snapshot', exact: true }).isDisabled()).toBe(true);
      await call('PATCH', `${VMS}/${machine}`, { spec: { powerState: 'Paused' } });
      await poll(
        async () => (await call('GET', `${VMS}/${machine}`)).body.status.phase,
        (phase) => phase === 'Paused',
        'the machine was not paused',
      );
      expect(await running(page).isVisible()).toBe(true);

      isCut = false;
      await page.locator('main').getByText('Paused', { exact: true }).first().waitFor();
      await page.getByText('Connection lost.').waitFor({ state: 'detached' });
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'has no accessibility fault a program can find, in either theme',
    async () => {
      const { page } = await openPage();
      await page.goto(`${stack().url}/machines`);
      await page.getByLabel('Access token').waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
      await signIn(page);
      const views: [path: string, settled: Locator][] = [
        ['/machines?view=wall', page.getByRole('link', { name: machine }).first()],
        ['/machines?view=table', page.getByRole('table').getByRole('link', { name: machine }).first()],
        ['/machines?new=machine', page.getByText('The server would accept this')],
        [`/machines/default/${restored}/screen`, page.getByText(/720 × 400/)],
        [`/machines/default/${restored}/terminal`, page.locator('.xterm-rows')],
        [`/machines/default/${restored}/files`, page.getByRole('button', { name: 'Upload' })],
        [`/machines/default/${restored}/events`, page.getByRole('list', { name: 'Events' })],
        ['/snapshots', page.getByRole('table', { name: 'Snapshots' })],
        ['/images', page.getByRole('heading', { name: 'linux-minimal' })],
        ['/snapshots?draw=tree', page.getByRole('tree')],
        ['/pools', page.getByText('No pools yet.')],
        ['/nodes', page.getByRole('heading', { name: 'worker-1' })],
      ];
      for (const colorScheme of ['dark', 'light'] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        for (const [path, settled] of views) {
          await page.goto(stack().url + path);
          await settled.waitFor();
          // A theme is its colours: nothing else of a page is another.
          const faults = await accessibilityFaults(page, colorScheme === 'dark' ? 'Everything' : 'Contrast');
          expect({ path, colorScheme, faults }).toEqual({
            path,
            colorScheme,
            faults: [],
          });
        }
      }
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'fits a phone: nothing scrolls sideways, and a machine can be typed into',
    async () => {
      const { page, complaints } = await openPage({ width: 390, height: 844 });
      await signIn(page);
      for (const path of [
        '/machines',
        '/machines?new=machine',
        `/machines/default/${restored}/screen`,
        `/machines/default/${restored}/overview`,
        '/snapshots',
        '/images',
        '/nodes',
      ]) {
        await page.goto(stack().url + path);
        await page.getByRole('main').or(page.getByRole('dialog')).first().waitFor();
        const overflow = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
        expect({ path, overflow }).toEqual({ path, overflow: 0 });
      }
      await page.goto(`${stack().url}/machines/default/${restored}/screen`);
      await page.getByLabel('Type on this machine').fill('echo phone-$((6*7))');
      await page.getByLabel('Type on this machine').press('Enter');
      await poll(
        async () => String((await call('GET', `${VMS}/${restored}/screenshot?format=text`)).body),
        (text) => /phone-42/.test(text),
        'nothing was typed on the screen',
      );
      expect(complaints).toEqual([]);
      await page.context().close();
    },
    JOURNEY_MS,
  );

  it(
    'keeps the page one wanted through sign-in, and does not let a wrong token in',
    async () => {
      const { page } = await openPage();
      await page.goto(`${stack().url}/nodes`);
      await page.getByLabel('Access token').fill('not-the-token-of-anyone');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('That token is not valid.').waitFor();
      await page.getByLabel('Access token').fill(stack().adminToken);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await heading(page, 'Nodes').waitFor();
      // The cookie is out of reach of scripts, and of whatever a guest might smuggle into one.
      expect(await page.evaluate('document.cookie')).toBe('');
      // Signed out elsewhere: a page that only listens finds out by itself, once its socket has to be opened again.
      const listening = await page.context().newPage();
      const sockets: WebSocketRoute[] = [];
      await listening.routeWebSocket(/\/live$/, (socket) => {
        sockets.push(socket);
        socket.connectToServer();
      });
      await listening.goto(`${stack().url}/images`);
      await heading(listening, 'Images').waitFor();
      await listening.getByText('Live', { exact: true }).waitFor();
      await page.getByRole('button', { name: 'Sign out' }).click();
      await page.getByLabel('Access token').waitFor();
      await Promise.all(sockets.map((socket) => socket.close()));
      await listening.getByLabel('Access token').waitFor();
      expect(new URL(listening.url()).searchParams.get('next')).toBe('/images');
      await page.context().close();
    },
    JOURNEY_MS,
  );
});
