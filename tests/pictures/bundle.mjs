// Bundles the page with Grafana's packages, and checks the licences of everything that it contains.

import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { HERE } from './programs.mjs';

// Grafana itself is licensed under the AGPL. Nothing of it may be in here.
const LICENCES = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'CC0-1.0', 'ISC', 'MIT', 'OFL-1.1', 'Unlicense'];
const COMBINED = ['(MIT AND Zlib)', 'MIT AND BSD-3-Clause', '(MPL-2.0 OR Apache-2.0)'];
// Their package.json names none; their LICENSE has the text.
const UNNAMED = { 'fast-shallow-equal': 'Unlicense', 'react-universal-interface': 'Unlicense' };

/** Writes the page to the folder. Returns its path. */
export async function bundle(tools, folder) {
  const page = join(HERE, 'page');
  const require = createRequire(join(tools, 'node_modules/'));
  const esbuild = require('esbuild');
  mkdirSync(folder, { recursive: true });
  const { metafile } = await esbuild.build({
    entryPoints: [join(page, 'dashboard.jsx')],
    outdir: folder,
    bundle: true,
    metafile: true,
    absWorkingDir: tools,
    nodePaths: [join(tools, 'node_modules')],
    alias: { 'get-document': join(page, 'get_document.cjs') },
    jsx: 'automatic',
    format: 'iife',
    target: 'chrome120',
    loader: { '.woff': 'dataurl', '.woff2': 'dataurl', '.svg': 'text', '.ttf': 'empty' },
    define: { 'process.env.NODE_ENV': '"production"', global: 'window' },
    logLevel: 'error',
  });
  checkLicences(Object.keys(metafile.inputs).map((input) => resolve(tools, input)));
  copyFileSync(join(page, 'index.html'), join(folder, 'index.html'));
  return join(folder, 'index.html');
}

function checkLicences(files) {
  const packages = new Map();
  for (const file of files.filter((path) => path.includes('/node_modules/'))) {
    const { name, license } = manifest(dirname(file));
    packages.set(name, license ?? UNNAMED[name]);
  }
  const refused = [...packages].filter(([, licence]) => !LICENCES.includes(licence) && !COMBINED.includes(licence));
  if (refused.length) throw new Error(`licences that are not allowed: ${JSON.stringify(refused)}`);
  console.log(`bundled ${packages.size} packages, all under permissive licences`);
}

/** The closest package.json above that names a package. Some folders have one without a name. */
function manifest(folder) {
  const path = join(folder, 'package.json');
  const found = existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
  return found.name && found.version ? found : manifest(dirname(folder));
}
