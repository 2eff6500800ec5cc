import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

/** Beats as a pager's thread does, under a limit of the host on how large a file may become. Source: ulimit(1p). */
const PROGRAM = `
const { PagerHeartbeat } = await import(process.argv[1]);
const { readdirSync, readFileSync, writeSync } = await import('node:fs');
const folder = process.argv[2];
const heartbeat = new PagerHeartbeat(folder);
writeSync(heartbeat.fd, process.pid + ' 1\\n', 0);
const seen = readdirSync(folder).map((name) => readFileSync(folder + '/' + name, 'utf8') === process.pid + ' 1\\n');
heartbeat.end();
console.log(JSON.stringify([seen, readdirSync(folder)]));`;

describe('A pager’s heartbeat', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'corral-heartbeat-'))));
  afterEach(() => rmSync(folder, { recursive: true }));

  it.each([
    ['is seen, and gone when it ends', 'unlimited', [[true], []]],
    ['is nobody’s end where the disk has no room for it: the machine is only not watched', '0', [[], []]],
  ])('%s', (_what, limit, said) => {
    const program = pathToFileURL(join(import.meta.dirname, 'pager-heartbeat.ts')).href;
    const limited = `ulimit -f ${limit}; exec "$0" --conditions=@corral/source --disable-warning=ExperimentalWarning --input-type=module -e "$@"`;
    expect(JSON.parse(execFileSync('sh', ['-c', limited, process.execPath, PROGRAM, program, folder], { encoding: 'utf8' }))).toEqual(said);
  });
});
