#!/usr/bin/env node
// Corral needs Node 24, which comes with it: a shell that has an older one first hands over.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MINIMUM_NODE = 24;
const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));

if (Number(process.versions.node.split('.', 1)[0]) >= MINIMUM_NODE) {
  await import(main);
} else {
  const { status, signal } = spawnSync(bundledNode(), [main, ...process.argv.slice(2)], { stdio: 'inherit', env: { ...process.env, CORRAL_INVOKED_AS: process.argv[1] } });
  if (signal) process.kill(process.pid, signal);
  process.exitCode = status ?? 1;
}

function bundledNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`);
    return join(dirname(manifest), 'bin', 'node');
  } catch {
    console.error(`corral: needs Node.js ${MINIMUM_NODE} or newer; this is ${process.versions.node}`);
    process.exit(1);
  }
}
