// Starts services that fail at known times, an exporter that watches them, and a Prometheus with the shipped configuration.
// Prints the URL of Prometheus, and the time at which the pictures can be taken.
//
// Usage: node story.mjs EXPORTER FOLDER SECONDS

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { HERE, eventually, freePort, sleep, start } from './programs.mjs';

const ROOT = join(HERE, '../..');

// What happens, with its start and end as shares of the whole time. Latencies are in milliseconds.
const EVENTS = [
  { path: '/search', from: 0.1, to: 0.35, latency: 1400 },
  { path: '/payments', from: 0.3, to: 0.42, status: 503 },
  { path: '/thumbnails', from: 0.45, to: 0.47, status: 500 },
  { path: '/checkout', from: 0.7, to: 9, status: 503 },
  { path: '/search', from: 0.76, to: 9, latency: 1500 },
];
const QUEUE_STOPS = 0.7;
const LATENCIES = { '/': 24, '/checkout': 61, '/search': 340, '/payments': 118, '/api': 38, '/mailer': 9, '/thumbnails': 75, '/indexer': 52 };

/** Starts everything. Resolves with the URLs when the time is over. */
export async function story(exporter, folder, seconds) {
  const begun = Date.now();
  const share = () => (Date.now() - begun) / 1000 / seconds;
  const respond = (request, response) => {
    const event = EVENTS.find(({ path, from, to }) => path === request.url && share() >= from && share() < to);
    const usual = LATENCIES[request.url] ?? 5;
    const wave = 1 + 0.25 * Math.sin(share() * 40 + usual) + 0.3 * Math.random() ** 3;
    const latency = request.url === '/export' ? 3_600_000 : (event?.latency ?? usual) * wave;
    setTimeout(() => response.writeHead(event?.status ?? 200).end('{}\n'), latency);
  };
  const listen = async (server) => {
    const port = await freePort();
    await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve));
    return port;
  };
  const web = await listen(http.createServer(respond));
  const secure = await listen(https.createServer(certificate(folder), respond));
  const queue = http.createServer(respond);
  const queuePort = await listen(queue);
  // Responds to nothing, and works a little.
  start(folder, 'worker', process.execPath, ['-e', 'setInterval(() => Array(1e5).fill(0).map(Math.random).sort(), 1000)', 'checkout-worker']);
  const exporterPort = await freePort();
  const prometheusPort = await freePort();

  const config = readFileSync(join(ROOT, 'tests/pictures/story.yml'), 'utf8')
    .replaceAll('127.0.0.1:8443', `127.0.0.1:${secure}`)
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${web}`)
    .replaceAll('127.0.0.1:8001', `127.0.0.1:${queuePort}`);
  writeFileSync(join(folder, 'upkeep.yml'), config);
  // With priority over other programs of this machine: an exporter that lacks CPU time says so. Without the permission, `nice` only
  // warns.
  start(folder, 'exporter', 'nice', [
    '-n', '-10', exporter, `--config.file=${folder}/upkeep.yml`, `--web.listen-address=127.0.0.1:${exporterPort}`, `--state.dir=${folder}/state`,
    `--status.file=${folder}/status.json`, '--control.socket=',
  ]); // prettier-ignore

  const probe = `
  - job_name: probes
    metrics_path: /probe
    params: { module: [http_2xx], target: ['http://127.0.0.1:${web}/api'] }
    static_configs: [{ targets: ['127.0.0.1:${exporterPort}'] }]
`;
  const shipped = readFileSync(join(ROOT, 'deploy/prometheus/prometheus.yml'), 'utf8')
    .replace('../../rules/', `${ROOT}/rules/`)
    .replace('127.0.0.1:10100', `127.0.0.1:${exporterPort}`)
    .replace(/  alertmanagers:\n(?: {4}.*\n)+/, '  alertmanagers: []\n');
  writeFileSync(join(folder, 'prometheus.yml'), shipped + probe);
  start(folder, 'prometheus', 'prometheus', [
    `--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${folder}/data`,
    `--web.listen-address=127.0.0.1:${prometheusPort}`,
  ]); // prettier-ignore
  const urls = { prometheus: `http://127.0.0.1:${prometheusPort}`, exporter: `http://127.0.0.1:${exporterPort}` };
  await eventually('the first scrape', 60, async () => {
    const response = await fetch(`${urls.prometheus}/api/v1/query?query=upkeep_build_info`);
    return (await response.json()).data.result.length > 0;
  });

  await sleep(QUEUE_STOPS * seconds * 1000 - (Date.now() - begun));
  queue.closeAllConnections();
  queue.close();
  await sleep(seconds * 1000 - (Date.now() - begun));
  return urls;
}

/** A certificate that is valid for 90 days, and its key. */
function certificate(folder) {
  const file = join(folder, 'certificate.pem');
  execFileSync('openssl', [
    'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '90', '-subj', '/CN=shop.example.org', '-keyout', file, '-out', file,
  ], { stdio: 'ignore' }); // prettier-ignore
  const pem = readFileSync(file);
  return { key: pem, cert: readFileSync(file) };
}
