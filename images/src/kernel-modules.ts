import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';
import { Problem } from '@corral/contracts';
import type { CpioEntry } from './cpio.ts';

/** A module file, and what must be loaded before it. */
export interface KernelModule {
  readonly name: string;
  /** Relative to the tree that was scanned: `lib/modules/<release>/kernel/…`. */
  readonly path: string;
  readonly depends: readonly string[];
  readonly content: Buffer;
}

/** Module names treat '-' and '_' as the same letter. */
const canonical = (name: string): string => name.replaceAll('-', '_');

/** The `key=value` strings of a module's .modinfo section. Source: include/linux/module.h, MODULE_INFO. */
export function moduleInfo(elf: Buffer): { readonly key: string; readonly value: string }[] {
  const table = elf.readUInt32LE(0x20);
  const entryBytes = elf.readUInt16LE(0x2e);
  const section = (index: number) => {
    const header = table + index * entryBytes;
    return {
      name: elf.readUInt32LE(header),
      offset: elf.readUInt32LE(header + 16),
      sizeBytes: elf.readUInt32LE(header + 20),
    };
  };
  const names = section(elf.readUInt16LE(0x32));
  for (let index = 0; index < elf.readUInt16LE(0x30); index++) {
    const { name, offset, sizeBytes } = section(index);
    const start = names.offset + name;
    if (elf.toString('latin1', start, elf.indexOf(0, start)) !== '.modinfo') continue;
    return elf
      .toString('latin1', offset, offset + sizeBytes)
      .split('\0')
      .filter(Boolean)
      .map((text) => {
        const equals = text.indexOf('=');
        return { key: text.slice(0, equals), value: text.slice(equals + 1) };
      });
  }
  return [];
}

/** Every module file below a tree, by canonical name. */
export async function findModules(tree: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() && entry.name.endsWith('.ko')) {
      found.set(canonical(entry.name.slice(0, -3)), path.relative(tree, path.join(entry.parentPath, entry.name)));
    }
  }
  return found;
}

/**
 * The named modules and all they need, in an order in which they can be loaded. Reads what each module says of itself, so
 * no depmod is needed on the machine that builds.
 */
export async function modulesInLoadOrder(
  tree: string,
  release: string,
  wanted: readonly string[],
): Promise<KernelModule[]> {
  const files = await findModules(tree);
  const builtIn = new Set(
    (await readFile(path.join(tree, 'lib/modules', release, 'modules.builtin'), 'utf8'))
      .split('\n')
      .map((line) => canonical(path.basename(line, '.ko'))),
  );
  const ordered = new Map<string, KernelModule | undefined>();
  const visit = async (name: string): Promise<void> => {
    if (ordered.has(name) || builtIn.has(name)) return;
    ordered.set(name, undefined);
    const file = files.get(name);
    if (file === undefined) throw new Problem('dependency.unavailable', `the kernel has no module ${name}`);
    const content = await readFile(path.join(tree, file));
    const info = moduleInfo(content);
    const depends = info
      .filter(({ key }) => key === 'depends')
      .flatMap(({ value }) => value.split(',').filter(Boolean).map(canonical));
    for (const dependency of depends) await visit(dependency);
    ordered.delete(name);
    ordered.set(name, { name, path: file, depends, content });
  };
  for (const name of wanted) await visit(canonical(name));
  return [...ordered.values()].filter((module) => module !== undefined);
}

/** `modules.dep` for modprobe: each file, then everything it needs, nearest first. Source: modules.dep(5). */
export function modulesDep(modules: readonly KernelModule[], release: string): string {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const inRelease = (file: string) => file.replace(`lib/modules/${release}/`, '');
  const closure = (module: KernelModule): string[] => {
    const needs = new Set<string>();
    const visit = (name: string) => {
      const dependency = byName.get(name);
      if (!dependency) return;
      needs.delete(dependency.path);
      needs.add(dependency.path);
      dependency.depends.forEach(visit);
    };
    module.depends.forEach(visit);
    return [...needs].map(inRelease);
  };
  return modules
    .map(
      (module) =>
        `${inRelease(module.path)}:${closure(module)
          .map((file) => ` ${file}`)
          .join('')}\n`,
    )
    .join('');
}

/** A release's modules as files, with `/etc/modules.early` and `/etc/modules.late`: what an init script loads, in order. */
export async function moduleEntries(
  tree: string,
  release: string,
  wanted: { readonly early: readonly string[]; readonly late: readonly string[] },
): Promise<CpioEntry[]> {
  const early = await modulesInLoadOrder(tree, release, wanted.early);
  const all = await modulesInLoadOrder(tree, release, [...wanted.early, ...wanted.late]);
  const isEarly = new Set(early.map(({ name }) => name));
  const list = (modules: readonly KernelModule[]) => Buffer.from(modules.map((module) => `/${module.path}\n`).join(''));
  return [
    ...all.map((module) => ({ type: 'file' as const, path: module.path, mode: 0o644, content: module.content })),
    {
      type: 'file',
      path: `lib/modules/${release}/modules.dep`,
      mode: 0o644,
      content: Buffer.from(modulesDep(all, release)),
    },
    { type: 'file', path: 'etc/modules.early', mode: 0o644, content: list(early) },
    {
      type: 'file',
      path: 'etc/modules.late',
      mode: 0o644,
      content: list(all.filter(({ name }) => !isEarly.has(name))),
    },
  ];
}
