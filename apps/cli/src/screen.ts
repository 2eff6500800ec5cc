import { describeBytes } from '@corral/contracts';
import cliProgress from 'cli-progress';
import ora from 'ora';

/** A step that takes a while: what is being done now, then that it is done. Written to stderr, so that stdout is the result alone. */
export interface Step {
  say(text: string): void;
  done(text: string): void;
  fail(text: string): void;
}

/** A bar of bytes; without a known total it counts. */
export interface ByteBar {
  add(bytes: number): void;
  stop(): void;
}

/** What a person watching sees beside a command's output. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #isQuiet: boolean;

  constructor(stream: NodeJS.WriteStream, options: { readonly isQuiet: boolean }) {
    this.#stream = stream;
    this.#isQuiet = options.isQuiet;
  }

  get #isLive(): boolean {
    return this.#stream.isTTY === true && !this.#isQuiet;
  }

  line(text: string): void {
    if (!this.#isQuiet) this.#stream.write(`${text}\n`);
  }

  step(text: string): Step {
    if (!this.#isLive) return { say: () => undefined, done: (end) => this.line(end), fail: (end) => void this.#stream.write(`${end}\n`) };
    // Keys typed ahead belong to the command that follows.
    const spinner = ora({ text, stream: this.#stream, discardStdin: false }).start();
    return { say: (now) => void (spinner.text = now), done: (end) => void spinner.succeed(end), fail: (end) => void spinner.fail(end) };
  }

  bytes(what: string, totalBytes: number | undefined): ByteBar {
    if (!this.#isLive) return { add: () => undefined, stop: () => undefined };
    const format = totalBytes === undefined ? `${what}  {shown}  {speed}/s` : `${what}  {bar}  {percentage}%  {shown}  {speed}/s  {eta_formatted}`;
    const bar = new cliProgress.SingleBar({ format, stream: this.#stream, hideCursor: true, barsize: 24 }, cliProgress.Presets.shades_classic);
    const startedAt = performance.now();
    let bytes = 0;
    const shown = (): object => ({ shown: describeBytes(bytes), speed: describeBytes((bytes * 1_000) / Math.max(1, performance.now() - startedAt)) });
    bar.start(totalBytes ?? 0, 0, shown());
    return {
      add(more) {
        bytes += more;
        bar.update(bytes, shown());
      },
      stop: () => bar.stop(),
    };
  }
}
