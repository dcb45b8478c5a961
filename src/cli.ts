#!/usr/bin/env node
// Any Node from 10 on can parse this file, as a module or as a script. It imports nothing before it knows the version.
if (/^(1?\d|20\.(1[0-8]|\d))\./.test(process.versions.node)) {
  console.error(`Bifröst needs Node 20.19 or later; this is ${process.version}`);
  process.exitCode = 1;
} else {
  process.setSourceMapsEnabled(true);
  void import('./commands/run.ts');
}
