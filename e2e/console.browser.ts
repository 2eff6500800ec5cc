import { existsSync } from 'node:fs';
import { AxeBuilder } from '@axe-core/playwright';
import { chromium, type Browser, type Locator, type Page } from 'playwright-core';
import { deleteVm, eventually, runningVm } from './api.ts';
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
export const JOURNEY_MS = 300_000;

export const PHONE = { width: 390, height: 844 } as const;
const DESK = { width: 1440, height: 900 } as const;

/** The browser itself notes each refused request: "nobody is signed in yet", "no screen now" and "not valid" are answers here. */
const ANSWERS = /status of (401|409|422)/;
/** Whoever asks for the screen of a machine whose process has ended is told that there is none just now. */
export const NO_SCREEN_NOW = /503.*\/screenshot/;
/** The connection is cut, or somebody signs out, on purpose: what the browser says of that is no fault. */
export const ANYTHING = /^/;

interface Opening {
  readonly viewport?: { readonly width: number; readonly height: number };
  /** A finger instead of a mouse. */
  readonly touch?: boolean;
  /** Complaints of this journey that are no faults. */
  readonly tolerates?: RegExp;
}

/**
 * A real browser for the journeys of one file. Each page is of a person of its own; when the journey is over it is closed, and the
 * journey has failed if the page complained. Machines named with `mine` are deleted when the file is over.
 */
export class ConsoleBrowser {
  #browser: Browser | undefined;
  readonly #open: { readonly page: Page; readonly complaints: string[] }[] = [];
  readonly #machines = new Set<string>();

  constructor() {
    beforeAll(async () => {
      const executablePath = CHROMIUMS.find((path) => existsSync(path));
      if (executablePath === undefined)
        throw new Error('the console is tested in a real browser: install chromium (Debian: apt-get install chromium)');
      this.#browser = await chromium.launch({ executablePath, args: QUIET });
    });
    afterEach(async () => {
      const opened = this.#open.splice(0);
      await Promise.all(opened.map(({ page }) => page.context().close()));
      expect(opened.flatMap(({ complaints }) => complaints)).toEqual([]);
    });
    afterAll(async () => {
      await this.#browser?.close();
      for (const name of this.#machines) await deleteVm(name);
    });
  }

  async page({ viewport = DESK, touch = false, tolerates }: Opening = {}): Promise<Page> {
    if (!this.#browser) throw new Error('the browser has not started');
    const context = await this.#browser.newContext({ viewport, hasTouch: touch });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const complaints: string[] = [];
    const hear = (text: string): void => {
      if (!tolerates?.test(text)) complaints.push(text);
    };
    page.on('pageerror', (error) => hear(error.message));
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type()) && !ANSWERS.test(message.text())) hear(`${message.text()} ${message.location().url}`);
    });
    this.#open.push({ page, complaints });
    return page;
  }

  async signedIn(wanted = '/machines', opening?: Opening): Promise<Page> {
    const page = await this.page(opening);
    await signIn(page, wanted);
    return page;
  }

  /** A machine of its own that runs, and its page. */
  async atMachine({ spec = { source: { image: 'linux-minimal' } }, ...opening }: Opening & { readonly spec?: object } = {}): Promise<{ readonly page: Page; readonly name: string }> {
    const name = this.mine(await runningVm(spec));
    const page = await this.signedIn(`/machines/default/${name}/screen`, opening);
    await running(page).waitFor();
    return { page, name };
  }

  mine(name: string): string {
    this.#machines.add(name);
    return name;
  }
}

export async function signIn(page: Page, wanted = '/machines'): Promise<void> {
  await page.goto(stack().url + wanted);
  await page.getByLabel('Access token').fill(stack().adminToken);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`**${wanted}*`);
}

/** Faults of WCAG 2.2 A and AA that a program can find. */
export async function accessibilityFaults(page: Page, looksAt: 'Everything' | 'Contrast' = 'Everything'): Promise<string[]> {
  const axe = new AxeBuilder({ page });
  const { violations } = await (looksAt === 'Everything' ? axe.withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']) : axe.withRules(['color-contrast'])).analyze();
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, any }) => `${id}: ${html} ${any.map(({ message }) => message).join(' ')}`),
  );
}

/** Types a line into the terminal in view and waits until the guest's answer stands in it. */
export async function askInTerminal(page: Page, line: string, answer: RegExp): Promise<void> {
  await page.getByText('Connected').or(page.getByText('Nothing was printed yet')).waitFor();
  await page.locator('.xterm-screen').click();
  await page.keyboard.type(line);
  await page.keyboard.press('Enter');
  await eventually(
    `${answer} in the terminal`,
    () => page.locator('.xterm-rows').innerText(),
    (text) => answer.test(text),
  );
}

export const heading = (page: Page, name: string): Locator => page.getByRole('heading', { level: 1, name, exact: true });
export const running = (page: Page): Locator => page.locator('main').getByText('Running', { exact: true }).first();

/** How far the page can be scrolled sideways: nothing, on a phone. */
export const overflowOf = (page: Page): Promise<unknown> => page.evaluate('document.documentElement.scrollWidth - innerWidth');
