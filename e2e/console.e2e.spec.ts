import { type Locator, type Page, type WebSocketRoute } from 'playwright-core';
import { call, eventually, exec, runningVm, snapshotOf, SNAPSHOTS, statusOf, uniqueName, VMS } from './api.ts';
import { accessibilityFaults, ANYTHING, askInTerminal, ConsoleBrowser, heading, JOURNEY_MS, NO_SCREEN_NOW, overflowOf, PHONE, running, signIn } from './console.browser.ts';
import { stack } from './stack.ts';

const theConsole = new ConsoleBrowser();

/** What stands on the screen of a machine. */
const screenOf = async (name: string): Promise<string> => String((await call('GET', `${VMS}/${name}/screenshot?format=text`)).body);

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

  afterAll(async () => {
    const { body } = await call('GET', SNAPSHOTS);
    for (const { metadata, spec } of body.items)
      if (spec.virtualMachine === machine) await call('DELETE', `${SNAPSHOTS}/${metadata.name}`);
  });

  it(
    'takes a machine back to a moment of its past, chosen on the timeline and with the keyboard alone',
    async () => {
      const { page, name } = await theConsole.atMachine({ tolerates: NO_SCREEN_NOW });
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
      await eventually(
        'it went back',
        async () => (await call('GET', `${VMS}/${name}`)).body,
        ({ spec, status }) => spec.source.snapshot !== undefined && status.incarnation === 2 && status.phase === 'Running',
      );
      // How it was then was kept, and is a moment of its own.
      await eventually('both moments are there', () => moments.getAttribute('aria-valuemax'), (count) => count === '2');
      await page.goto(`${stack().url}/snapshots?draw=tree&q=machine%3A${name}`);
      await page.getByRole('treeitem').first().click();
      await page.getByText('stands alone').or(page.getByText('Parent')).first().waitFor();
      expect(await accessibilityFaults(page)).toEqual([]);
    },
    JOURNEY_MS,
  );

  it(
    'shows what a sleeping machine showed last, and wakes it up with all that is typed',
    async () => {
      const { page, name } = await theConsole.atMachine({ tolerates: NO_SCREEN_NOW });
      await page.getByText(/720 × 400/).waitFor();
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Hibernate' }).click();
      await page.getByText('It sleeps. Typing or a click wakes it.').waitFor();
      // Whoever comes now sees what it showed last, too.
      await page.reload();
      await page.getByText('It sleeps. Typing or a click wakes it.').waitFor();
      await page.getByText(/720 × 400/).waitFor();
      expect(await page.locator('canvas').first().evaluate((canvas: HTMLCanvasElement) => new Set(canvas.getContext('2d')?.getImageData(0, 0, canvas.width, canvas.height).data).size)).toBeGreaterThan(2);
      // Its memory is in the last of all tiers, and on no process.
      await page.locator('aside').getByText('In S3, and on the disk of worker-1, where it wakes up soonest.').waitFor();
      // The picture stays, and the page is no worse to use.
      expect(await page.locator('canvas').first().isVisible()).toBe(true);
      expect(await accessibilityFaults(page)).toEqual([]);
      await page.getByRole('application', { name: `Screen of ${name}` }).focus();
      await page.keyboard.type('echo awake-$((6*7))');
      await page.keyboard.press('Enter');
      await eventually('all that was typed reaches it', () => screenOf(name), (text) => /# echo awake-\$\(\(6\*7\)\)\s+awake-42/.test(text));
      await running(page).waitFor();
      // To be awake is nothing to worry about.
      await page.getByText('Hibernated Awake').waitFor();
      expect(await page.locator('aside').getByText('Hibernated Awake').locator('xpath=ancestor::li').locator('.text-attention').count()).toBe(0);
    },
    JOURNEY_MS,
  );

  it(
    'keeps a terminal open while the machine sleeps, says so, and wakes it up with what is typed there',
    async () => {
      const { page, name } = await theConsole.atMachine({ spec: { source: { image: 'linux-minimal' }, checkpointPolicy: { everySeconds: 10 } }, tolerates: NO_SCREEN_NOW });
      await page.getByRole('tab', { name: 'Terminal' }).click();
      await askInTerminal(page, 'MARK=$((6*7)); echo "now $MARK"', /now 42/);
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Hibernate' }).click();
      await page.getByText('Asleep: typing wakes it').waitFor();
      await eventually('its process has ended', () => statusOf(name), ({ phase }) => phase === 'Hibernated');
      expect(await page.locator('.xterm-rows').innerText()).toMatch(/now 42/);
      await page.locator('.xterm-screen').click();
      await page.keyboard.type('echo "still $MARK"');
      await page.keyboard.press('Enter');
      await eventually('it is awake', () => page.locator('.xterm-rows').innerText(), (text) => /still 42/.test(text));
      expect(await statusOf(name)).toMatchObject({ phase: 'Running', incarnation: 2, restartCount: 0 });
      // What its policy kept of it meanwhile is on the timeline.
      await page.getByRole('tab', { name: /^Snapshots/ }).click();
      const moments = page.getByRole('slider', { name: `Moments of ${name}` });
      const newest = async (): Promise<string | null> => {
        await moments.press('End');
        await moments.press('ArrowLeft');
        return moments.getAttribute('aria-valuetext');
      };
      await eventually('a checkpoint', newest, (text) => /^Checkpoint /.test(text ?? ''));
      await page.getByRole('img', { name: /^Screen at .*checkpoint/ }).waitFor();
    },
    JOURNEY_MS,
  );

  it(
    'forks a machine that sleeps: the copy runs with what that had on its screen, and it sleeps on',
    async () => {
      const { page, name } = await theConsole.atMachine({ tolerates: NO_SCREEN_NOW });
      const screen = page.getByRole('application', { name: `Screen of ${name}` });
      await screen.focus();
      await page.keyboard.type('echo before-$((6*7))');
      await page.keyboard.press('Enter');
      await eventually('it is on the screen', () => screenOf(name), (text) => /before-42/.test(text));
      await page.getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Hibernate' }).click();
      await page.getByText('It sleeps. Typing or a click wakes it.').waitFor();
      await page.getByRole('button', { name: /^Fork/ }).click();
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('button', { name: 'Fork', exact: true }).click();
      await dialog.getByText('1 of 1 copy made.').waitFor();
      const copy = theConsole.mine(await dialog.getByRole('list', { name: 'Copies' }).getByRole('link').innerText());
      expect(await statusOf(name)).toMatchObject({ phase: 'Hibernated', incarnation: 1 });
      await dialog.getByRole('link').click();
      await heading(page, copy).waitFor();
      await running(page).waitFor();
      expect(await screenOf(copy)).toMatch(/before-42/);
      expect(await statusOf(copy)).toMatchObject({ startedFrom: { type: 'Fork', name } });
      expect(await statusOf(name)).toMatchObject({ phase: 'Hibernated', incarnation: 1 });
    },
    JOURNEY_MS,
  );

  it(
    'forks a machine: the copies are listed, and the moment they come from is nothing to go back to',
    async () => {
      const { page, name } = await theConsole.atMachine();
      await page.keyboard.press('f');
      const dialog = page.getByRole('dialog');
      await dialog.getByLabel('How many').fill('2');
      expect(await accessibilityFaults(page)).toEqual([]);
      await dialog.getByRole('button', { name: 'Fork', exact: true }).click();
      await dialog.getByText('2 of 2 copies made.').waitFor();
      const copies = await dialog.getByRole('list', { name: 'Copies' }).getByRole('link').allInnerTexts();
      expect(copies).toHaveLength(2);
      copies.forEach((copy) => theConsole.mine(copy));
      await dialog.getByRole('link').first().click();
      await heading(page, copies[0] ?? '').waitFor();
      await running(page).waitFor();
      await page.getByText('Forked from').waitFor();
      await page.goto(`${stack().url}/machines/default/${name}/snapshots`);
      await page.getByText('No snapshots yet').or(page.getByText('No moments to go back to yet')).first().waitFor();
      await page.goto(`${stack().url}/nodes`);
      await page.getByText('No memory pressure').first().waitFor();
      await page.getByText(/^(Full|MapOnly|Copy) \(/).first().waitFor();
    },
    JOURNEY_MS,
  );

  it(
    'shows where a machine’s memory is against its budget, with whom it is shared, what paging does, and the same of its node',
    async () => {
      const { page, name } = await theConsole.atMachine();
      const memory = page.locator('aside section').filter({ has: page.getByRole('heading', { name: 'Memory' }) });
      await memory.getByText('No budget: all of it may stay in its node’s memory.').waitFor();
      const [node] = (await call('GET', '/api/v1/nodes')).body.items;
      // A host without userfaultfd shares memory, and pages none.
      if (node.status.corral.memoryMode === 'Full') {
        const paged = theConsole.mine(await runningVm({ source: { image: 'linux-minimal' }, residentMemory: '24Mi' }));
        await page.goto(`${stack().url}/machines/default/${paged}/screen`);
        await memory.getByText(/^Holds .+ of the 24 MiB it may take of its node\.$/).waitFor();
        await exec(paged, 'head -c 1000000 /dev/urandom > /tmp/noise; for i in $(seq 30); do cat /tmp/noise >> /tmp/filled; done; cat /tmp/filled /tmp/filled > /dev/null', { timeoutSeconds: 100 });
        // What is drawn is said, too, for those who do not see it.
        await memory.getByRole('img', { name: /Private .+, Compressed .+, Shared.* .+, Swapped .+, Budget 24 MiB$/ }).waitFor();
        await memory.getByText('Swapped in').waitFor();
        await memory.getByText(/^50 % ≤ .+ ms, 99 % ≤ .+ ms$/).waitFor();
        const { swapIns } = (await statusOf(paged)).memory;
        expect(swapIns).toBeGreaterThan(100);
        await eventually('how fast', () => memory.getByLabel('Paging').innerText(), (text) => /Swapped out\s+[\d,]+, [\d.,]+\/s/.test(text));
        expect(await accessibilityFaults(page)).toEqual([]);
        await page.goto(`${stack().url}/machines/default/${name}/screen`);
        // There are others from the same golden snapshot.
        await memory.getByText(/^Shared with \d+$/).waitFor();
        await page.goto(`${stack().url}/nodes`);
        await page.getByRole('img', { name: /^Private .+, Budget [\d.]+ GiB$/ }).waitFor();
        await page.getByLabel('Paging').getByText('Came back from').waitFor();
      }
    },
    JOURNEY_MS,
  );

  it(
    'creates a machine, runs a command in it, and a machine restored from its snapshot knows what the first did',
    async () => {
      const page = await theConsole.signedIn();
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
      theConsole.mine(machine);
      await createHere(page, machine);

      // The picture is the guest's own: its size is known only once a still was drawn.
      await page.getByText(/720 × 400 · \d+ ms/).waitFor();
      await page.getByRole('tab', { name: 'Terminal' }).click();
      await askInTerminal(page, 'MARK=kept-$((40+2)); echo "now $MARK"', /now kept-42/);

      await page.getByRole('button', { name: 'Snapshot', exact: true }).click();
      const restore = page.getByRole('complementary').getByRole('button', { name: new RegExp(`^Restore ${machine}-`) });
      await restore.click();
      theConsole.mine(restored);
      await createHere(page, restored);
      await page.getByRole('tab', { name: 'Terminal' }).click();
      await askInTerminal(page, 'echo "still $MARK"', /still kept-42/);

      // A shell of its own beside the serial line, which does not share the serial shell's variables.
      await page.getByRole('button', { name: 'Shell' }).click();
      await askInTerminal(page, 'echo "shell [$MARK] $(stty size)"', /shell \[\] \d+ \d+/);

      // Two machines, live: what is paused elsewhere shows here by itself.
      await page
        .getByRole('link', { name: /^Machines/ })
        .first()
        .click();
      const tile = page.getByRole('link', { name: new RegExp(`^(?!.*again).*${machine}`) });
      await tile.waitFor();
      await call('PATCH', `${VMS}/${machine}`, { spec: { powerState: 'Paused' } });
      await tile.getByText('Paused').first().waitFor();

    },
    JOURNEY_MS,
  );

  it(
    'shows things as they were while the connection is cut, refuses writes, and heals by itself with what changed meanwhile',
    async () => {
      const page = await theConsole.page({ tolerates: ANYTHING });
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
      await eventually('the machine is paused', () => statusOf(machine), ({ phase }) => phase === 'Paused');
      expect(await running(page).isVisible()).toBe(true);

      isCut = false;
      await page.locator('main').getByText('Paused', { exact: true }).first().waitFor();
      await page.getByText('Connection lost.').waitFor({ state: 'detached' });
    },
    JOURNEY_MS,
  );

  it(
    'has no accessibility fault a program can find, in either theme',
    async () => {
      const page = await theConsole.page();
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
    },
    JOURNEY_MS,
  );

  it(
    'fits a phone: nothing scrolls sideways, and a machine can be typed into',
    async () => {
      const page = await theConsole.signedIn('/machines', { viewport: PHONE });
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
        const overflow = await overflowOf(page);
        expect({ path, overflow }).toEqual({ path, overflow: 0 });
      }
      await page.goto(`${stack().url}/machines/default/${restored}/screen`);
      await page.getByLabel('Type on this machine').fill('echo phone-$((6*7))');
      await page.getByLabel('Type on this machine').press('Enter');
      await eventually('it is typed on the screen', () => screenOf(restored), (text) => /phone-42/.test(text));
    },
    JOURNEY_MS,
  );

  it(
    'lets one choose a moment on a phone with a finger, shows what was on the screen then, and starts another machine from there',
    async () => {
      const { page, name } = await theConsole.atMachine({ viewport: PHONE, touch: true });
      const taken: string[] = [];
      for (const word of ['first', 'second', 'third']) {
        await exec(name, `echo ${word} > /dev/tty1`);
        taken.push(await snapshotOf(name));
      }
      await page.goto(`${stack().url}/machines/default/${name}/snapshots`);
      const moments = page.getByRole('slider', { name: `Moments of ${name}` });
      await eventually('all are there', () => moments.getAttribute('aria-valuemax'), (count) => count === '3');
      const box = await moments.boundingBox();
      if (!box) throw new Error('the timeline is not drawn');
      expect(box.height).toBeGreaterThanOrEqual(44);
      // At its very beginning: moments of one second lie a few pixels apart.
      await page.touchscreen.tap(box.x + 1, box.y + box.height / 2);
      const picture = page.getByRole('img', { name: `Screen at ${taken[0]}` });
      await picture.waitFor();
      // As large as the phone lets it be.
      expect((await picture.boundingBox())?.width).toBeGreaterThan(320);
      expect(await overflowOf(page)).toBe(0);
      expect(await accessibilityFaults(page)).toEqual([]);
      const later = page.getByRole('button', { name: 'Later moment' });
      expect((await later.boundingBox())?.height).toBeGreaterThanOrEqual(44);
      await later.tap();
      await page.getByRole('img', { name: `Screen at ${taken[1]}` }).waitFor();
      await moments.press('ArrowRight');
      await page.getByRole('img', { name: `Screen at ${taken[2]}` }).waitFor();
      await page.getByRole('button', { name: 'Fork from here' }).tap();
      await createHere(page, theConsole.mine(uniqueName('phone')));
      for (const snapshot of taken) await call('DELETE', `${SNAPSHOTS}/${snapshot}`);
    },
    JOURNEY_MS,
  );

  it(
    'keeps the page one wanted through sign-in, and does not let a wrong token in',
    async () => {
      const page = await theConsole.page({ tolerates: ANYTHING });
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
    },
    JOURNEY_MS,
  );
});
