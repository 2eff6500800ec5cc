import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const VERSION = '0.5.462';
const codePath = fileURLToPath(import.meta.resolve('v86'));
const wasmPath = fileURLToPath(new URL('v86.wasm', import.meta.resolve('v86')));

export interface FirmwarePaths {
  readonly biosPath: string;
  readonly vgaBiosPath: string;
}

/**
 * Names the emulator's code and firmware: device state saved by one build is read by that build only. The version, and
 * the first 8 hex digits of the SHA-256 over JavaScript, WebAssembly, BIOS and VGA BIOS in this order.
 */
export function v86Build(firmware: FirmwarePaths): Promise<string> {
  const key = JSON.stringify([firmware.biosPath, firmware.vgaBiosPath]);
  const known = builds.get(key);
  if (known) return known;
  const build = digestOf(firmware);
  builds.set(key, build);
  // Firmware that could not be read may be there the next time.
  build.catch(() => builds.delete(key));
  return build;
}

/** What a process has loaded does not change: the digest is computed once, not at every start. */
const builds = new Map<string, Promise<string>>();

async function digestOf({ biosPath, vgaBiosPath }: FirmwarePaths): Promise<string> {
  const hash = createHash('sha256');
  for (const path of [codePath, wasmPath, biosPath, vgaBiosPath]) hash.update(await readFile(path));
  return `${VERSION}-${hash.digest('hex').slice(0, 8)}`;
}

let compiled: Promise<WebAssembly.Module> | undefined;

/** v86's WebAssembly, compiled once per process. */
export function v86Module(): Promise<WebAssembly.Module> {
  compiled ??= readFile(wasmPath).then((bytes) => WebAssembly.compile(bytes));
  return compiled;
}

/** Loads and compiles v86 ahead of the first machine. */
export async function preloadV86(): Promise<void> {
  await v86Module();
}
