import { createReadStream, createWriteStream, statSync, type Stats } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, posix } from 'node:path';
import { Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { MachineClient } from '@corral/client';
import { Problem } from '@corral/contracts';
import type { Command } from 'commander';
import * as tar from 'tar';
import { destinationOf, parseCopyEnd } from '../guest-path.ts';
import type { Invocation } from '../invocation.ts';
import type { ByteBar } from '../screen.ts';
import { UsageError } from '../usage-error.ts';

export function addCp(program: Command, invocation: Invocation): void {
  program
    .command('cp')
    .summary('copy files and folders into and out of a machine')
    .description('Copies a file or a folder into a machine, or out of one. A path in a machine is written machine:/path.')
    .argument('<from>', 'what to copy')
    .argument('<to>', 'where to; an existing folder receives it inside')
    .addHelpText('after', '\nExamples:\n  corral cp notes.txt demo:/root/\n  corral cp demo:/var/log ./logs')
    .action(async (fromText: string, toText: string) => {
      const [from, to] = [parseCopyEnd(fromText), parseCopyEnd(toText)];
      if (from.type === to.type) throw new UsageError(`one of the two must be in a machine, as machine:/path${from.type === 'Guest' ? ', and the other here' : ''}`);
      const { client, namespace } = await invocation.session();
      if (from.type === 'Local' && to.type === 'Guest') await upload(client.machine(namespace, to.machine), from.path, to.path, invocation);
      if (from.type === 'Guest' && to.type === 'Local') await download(client.machine(namespace, from.machine), from.path, to.path, invocation);
    });
}

async function upload(machine: MachineClient, from: string, to: string, { screen, signal }: Invocation): Promise<void> {
  const source = statHere(from);
  const name = basename(from === '.' || from === '..' ? process.cwd() : from);
  const target = destinationOf(to, name, await isGuestFolder(machine, to));
  if (!source.isDirectory()) {
    const bar = screen.bytes(name, source.size);
    const content = Readable.toWeb(createReadStream(from).pipe(counting(bar))) as ReadableStream<Uint8Array>;
    await machine.writeFile(target, content, { mode: modeOf(source), signal }).finally(() => bar.stop());
    return;
  }
  const bar = screen.bytes(name, await sizeOfFolder(from));
  const errors: Uint8Array[] = [];
  // The folder's own name is the target's, so its contents are sent, into a folder of that name.
  const stream = await machine.stream({ command: ['sh', '-c', 'mkdir -p "$0" && exec tar x -f - -C "$0"', target], stdin: true }, { stdout: () => undefined, stderr: (bytes) => errors.push(bytes) });
  const sink = new Writable({ write: (chunk: Buffer, _encoding, done) => void stream.write(chunk).then(() => done(), done), final: (done) => (stream.endInput(), done()) });
  try {
    await pipeline(Readable.from(tar.create({ cwd: from, portable: true }, ['.'])), counting(bar), sink, { signal });
    await requireSuccess(stream.exitCode, errors, `unpacking in ${target}`);
  } finally {
    bar.stop();
    stream.close();
  }
}

async function download(machine: MachineClient, from: string, to: string, { screen, signal }: Invocation): Promise<void> {
  const source = await machine.stat(from);
  const name = posix.basename(from);
  const target = (await stat(to).catch(() => undefined))?.isDirectory() || to.endsWith('/') ? join(to, name) : to;
  if (source.type !== 'Directory') {
    const { bytes, sizeBytes } = await machine.readFile(from, signal);
    const bar = screen.bytes(name, sizeBytes);
    // Beside its place until it is whole: a copy that broke off must not look like one that ended.
    const aside = join(dirname(target), `.${basename(target)}.${process.pid}.part`);
    try {
      await mkdir(dirname(target), { recursive: true });
      await pipeline(Readable.fromWeb(bytes as Parameters<typeof Readable.fromWeb>[0]), counting(bar), createWriteStream(aside, { mode: Number.parseInt(source.mode, 8) }), { signal });
      await rename(aside, target);
    } finally {
      bar.stop();
      await rm(aside, { force: true });
    }
    return;
  }
  const bar = screen.bytes(name, undefined);
  const errors: Uint8Array[] = [];
  await mkdir(target, { recursive: true });
  const unpacked = tar.extract({ cwd: target });
  const counter = counting(bar);
  const stream = await machine.stream({ command: ['tar', 'c', '-f', '-', '-C', from, '.'] }, { stdout: (bytes) => void counter.write(bytes), stderr: (bytes) => errors.push(bytes) });
  const unpacking = pipeline(counter, unpacked as unknown as NodeJS.WritableStream, { signal });
  try {
    await requireSuccess(stream.exitCode, errors, `packing ${from}`);
    counter.end();
    await unpacking;
  } finally {
    bar.stop();
    stream.close();
    // A command that failed leaves half an archive, which is no second error.
    unpacking.catch(() => undefined);
    counter.destroy();
  }
}

async function requireSuccess(exitCode: Promise<number>, errors: readonly Uint8Array[], what: string): Promise<void> {
  const code = await exitCode;
  if (code !== 0) throw new Problem('guest.file-refused', `${what} failed with exit code ${code}: ${Buffer.concat(errors).toString('utf8').trim()}`);
}

function counting(bar: ByteBar): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bar.add(chunk.length);
      done(null, chunk);
    },
  });
}

function statHere(path: string): Stats {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) throw new UsageError(`${path}: no such file or folder`);
  return found;
}

const modeOf = ({ mode }: Stats): string => `0${(mode & 0o777).toString(8)}`;

async function isGuestFolder(machine: MachineClient, path: string): Promise<boolean> {
  try {
    return (await machine.stat(path)).type === 'Directory';
  } catch (error) {
    if (error instanceof Problem && error.code === 'guest.file-not-found') return false;
    throw error;
  }
}

async function sizeOfFolder(path: string): Promise<number> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const sizes = entries.filter((entry) => entry.isFile()).map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
