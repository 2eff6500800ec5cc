#!/usr/bin/env node
// `kubectl corral <Tab>`: kubectl asks a program of this name. Source: kubectl's documentation of plugins, "Completion".
process.argv.splice(2, 0, 'complete', '--');
await import('./corral.mjs');
