// Starts a Prometheus with the series of tests/dashboards/written.yml: an hour with one check of every kind of component.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HERE, eventually, freePort, start } from './programs.mjs';

const SECONDS = 3600;
const STEP = 15;
// The file has constant values. Those of these metrics vary in the pictures, as in reality.
const VARY =
  /_(connections|connected_clients|items|keys|used_bytes|working_set_bytes|available_bytes|messages_ready|queue_messages|usage_ratio|load_average|open_fds|inodes_free|remaining_\w+)$/;

/**
 * The value at a step. `2+3x20` starts at 2 and adds 3 with each of 20 more steps, and `1x8 0x3` is 1 nine times and then 0. The last
 * part continues.
 */
function constantAt(notation, name, index) {
  const parts = notation.split(' ').map((part) => /^(-?[\d.]+)(?:\+([\d.]+))?x(\d+)$/.exec(part));
  if (parts.includes(null)) throw new Error(`written.yml: ${notation} of ${name} is not supported`);
  let begin = 0;
  for (const [, , , more] of parts.slice(0, -1)) {
    if (index <= begin + Number(more)) break;
    begin += Number(more) + 1;
    parts.shift();
  }
  const [, first, add] = parts[0];
  return Number(first) + Number(add ?? 0) * (index - begin);
}

function valueAt(notation, name, index, seed) {
  const value = constantAt(notation, name, index);
  const noise = 0.5 * Math.sin(index / 17 + seed) + 0.3 * Math.sin(index / 5 + 2 * seed) + 0.2 * Math.sin(index * 1.7);
  const varied = VARY.test(name) ? value * (1 + 0.15 * noise) : value;
  return Number.isInteger(value) ? Math.round(varied) : varied;
}

/** The series as OpenMetrics, one hour until `end`, which is in seconds. */
function openMetrics(end) {
  const text = readFileSync(join(HERE, '../dashboards/written.yml'), 'utf8');
  const begin = end - SECONDS;
  const lines = [...text.matchAll(/^- series: '(.*)'\n  values: '(.*)'$/gm)].flatMap(([, series, notation], seed) => {
    const [name, labels = ''] = series.split(/(?=\{)/s);
    const isTime = name.endsWith('_timestamp_seconds');
    return Array.from({ length: SECONDS / STEP + 1 }, (_, index) => {
      const value = isTime ? begin + valueAt(notation, name, 0, seed) : valueAt(notation, name, index, seed);
      return `${name}${labels} ${value} ${begin + index * STEP}`;
    });
  });
  return `${lines.join('\n')}\n# EOF\n`;
}

/** Starts it. Returns its URL, and the time of the last sample in milliseconds. */
export async function written(folder) {
  const end = Math.floor(Date.now() / 1000 / STEP) * STEP;
  mkdirSync(join(folder, 'written'));
  writeFileSync(join(folder, 'written.txt'), openMetrics(end));
  execFileSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', join(folder, 'written.txt'), join(folder, 'written')], {
    stdio: 'ignore',
  });
  writeFileSync(join(folder, 'written.yml'), 'scrape_configs: []\n');
  const port = await freePort();
  start(folder, 'written', 'prometheus', [
    `--config.file=${folder}/written.yml`, `--storage.tsdb.path=${folder}/written`, `--web.listen-address=127.0.0.1:${port}`,
  ]); // prettier-ignore
  const url = `http://127.0.0.1:${port}`;
  await eventually('Prometheus', 60, async () => (await fetch(`${url}/-/ready`)).ok);
  return { url, to: end * 1000 };
}
