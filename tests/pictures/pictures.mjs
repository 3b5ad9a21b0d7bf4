// Draws every dashboard of grafana/dashboards to docs/images/dashboards, with Grafana's packages and data of a real Prometheus.
// README.md shows the upper parts of two of them.
//
// Usage: node tests/pictures/pictures.mjs EXPORTER [SECONDS [DASHBOARD...]]

import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Browser } from './browser.mjs';
import { bundle } from './bundle.mjs';
import { objectives } from './objectives.mjs';
import { HERE, eventually, stopAll } from './programs.mjs';
import { story } from './story.mjs';
import { written } from './written.mjs';

const ROOT = join(HERE, '../..');
const TOOLS = join(ROOT, 'target/picture-tools');
const PICTURES = join(ROOT, 'docs/images/dashboards');
// The dashboards whose components or days the story does not have. tests/common/dashboards.rs has the same list.
const SOURCES = { infrastructure: written, platform: written, slo: objectives };
const SELECTED = { service: { service: 'checkout' } };
const WIDTH = 1400;
// The heights of the upper parts, which end between two rows of panels.
const PARTS = { overview: 1192, service: 1002 };
// Fewer colours make smaller files.
const COLOURS = 128;
const MAX_BYTES = 200_000;

const exporter = resolve(process.argv[2] ?? 'target/release/upkeep_exporter');
const seconds = Number(process.argv[3] ?? 480);
const all = readdirSync(join(ROOT, 'grafana/dashboards')).map((file) => file.replace(/\.json$/, ''));
const names = process.argv.length > 4 ? process.argv.slice(4) : all.sort();
const upng = createRequire(join(TOOLS, 'node_modules/'))('upng-js');

/** Writes a PNG with a palette, of the whole picture or its upper part. */
function write(name, png, height) {
  const image = upng.decode(png);
  const rows = Math.min(height ?? image.height, image.height);
  const pixels = new Uint8Array(upng.toRGBA8(image)[0]).slice(0, image.width * rows * 4);
  const path = join(PICTURES, `${name}.png`);
  writeFileSync(path, Buffer.from(upng.encode([pixels.buffer], image.width, rows, COLOURS)));
  const { size } = statSync(path);
  console.log(`${path}: ${image.width} x ${rows}, ${size} bytes`);
  if (size > MAX_BYTES) {
    console.error(`${path} is larger than ${MAX_BYTES} bytes`);
    process.exitCode = 1;
  }
}

async function draw(browser, page, name, source) {
  const dashboard = JSON.parse(readFileSync(join(ROOT, `grafana/dashboards/${name}.json`), 'utf8'));
  const order = JSON.stringify({ dashboard, selected: SELECTED[name] ?? {}, width: WIDTH, ...source });
  await browser.open(`file://${page}`, WIDTH, 1000);
  await eventually('the page', 60, () => browser.evaluate('typeof window.draw === "function"'));
  await browser.resize(WIDTH, Math.ceil(await browser.evaluate(`window.draw(${order})`)));
  const png = await browser.picture();
  const failures = await browser.evaluate('window.failures');
  if (failures.length) throw new Error(`${name}: ${failures.join('\n')}`);
  write(name, png);
  if (PARTS[name]) write(`${name}-top`, png, PARTS[name]);
}

/** The story of services that fail: Prometheus, and the time range of the pictures. */
async function watched(parent) {
  console.log(`waiting ${seconds} s for the story of the pictures`);
  const { prometheus } = await story(exporter, parent, seconds);
  return { url: prometheus, to: Date.now(), from: Date.now() - seconds * 1000 };
}

const folder = mkdtempSync(join(tmpdir(), 'upkeep-pictures-'));
process.once('SIGINT', async () => {
  await stopAll();
  process.exit(130);
});
try {
  mkdirSync(PICTURES, { recursive: true });
  const page = await bundle(TOOLS, join(folder, 'page'));
  const browser = new Browser(folder);
  for (const source of [watched, written, objectives]) {
    const own = names.filter((name) => (SOURCES[name] ?? watched) === source);
    const data = own.length > 0 && (await source(folder));
    for (const name of own) await draw(browser, page, name, data);
  }
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
// The services of the story would run on.
process.exit();
