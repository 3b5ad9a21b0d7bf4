// Starts a Prometheus with a month of services with objectives: some fail at known times, and the rules of rules/slo.yml are evaluated
// over the month by promtool. The dashboard SLO needs them.

import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { HERE, eventually, freePort, start, stop } from './programs.mjs';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
// The windows of 30 days at the start of the picture need data from before.
const DAYS = 32;
// The picture shows a day. Series that only the picture needs are recorded for longer than that.
const SHOWN = 25 * HOUR;
// Prometheus forgets a value after 5 minutes.
const STEP = 4 * MINUTE;
// As few blocks as possible: promtool reads its input once for each. But a range query of Prometheus returns at most 11,000 values, and
// 162 hours have 9,720 minutes.
const BLOCK = '--max-block-duration=162h';
const STATUSES = ['up', 'degraded', 'down', 'unknown'];
const TARGET = { job: 'upkeep', instance: 'web1:10100' };

/** Outages of `length` seconds: one that begins `ago` seconds before the end, or several with `every` seconds between their starts. */
const outages = (ago, length, count = 1, every = 0, kind = 'down') =>
  Array.from({ length: count }, (_, index) => ({ kind, from: ago - index * every, to: ago - index * every - length }));

const SERVICES = [
  { service: 'shop', group: 'Shop', objective: 0.999, events: [...outages(11.2 * DAY, 9 * MINUTE), ...outages(9 * HOUR, 3 * MINUTE)] },
  {
    service: 'checkout', group: 'Shop', objective: 0.999,
    // The second outage is also one of the queue, on which it depends.
    events: [...outages(13.4 * DAY, 17 * MINUTE), ...outages(5.5 * HOUR, 6 * MINUTE), ...outages(5.5 * HOUR, 6 * MINUTE, 1, 0, 'impacted')],
  },
  {
    service: 'search', group: 'Shop', objective: 0.995,
    events: [
      ...outages(20 * HOUR, 40 * MINUTE, 1, 0, 'degraded'),
      ...outages(10 * HOUR, 100, 18, 25 * MINUTE),
      ...outages(6.1 * DAY, 3 * HOUR, 1, 0, 'maintenance'),
    ],
  },
  { service: 'payments', group: 'Payments', objective: 0.9995, events: outages(50 * MINUTE, 20, 10, 5 * MINUTE) },
  // The longer outage leaves the window of 30 days within the picture.
  { service: 'api', group: 'Payments', objective: 0.999, events: [...outages(30 * DAY + 12 * HOUR, 38 * MINUTE), ...outages(19.3 * DAY, 47 * MINUTE)] },
  { service: 'queue', group: 'Infrastructure', objective: 0.999, events: outages(5.5 * HOUR, 6 * MINUTE) },
  { service: 'mailer', group: 'Payments', tier: 'tolerant', objective: 0.99, events: outages(4.7 * DAY, 100 * MINUTE) },
]; // prettier-ignore

const seriesOf = (name, labels) => `${name}{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(',')}}`; // prettier-ignore

/** The samples of a series: at every step and at every change. `valueAt` gets the time before the end. */
function samples(series, end, seconds, changes, valueAt) {
  const first = Math.ceil((end - seconds) / STEP) * STEP;
  const steps = Array.from({ length: Math.floor((end - first) / STEP) + 1 }, (_, index) => first + index * STEP);
  const times = [...new Set([...steps, ...changes.map((ago) => end - ago), end])].filter((time) => time >= first && time <= end);
  return times.sort((a, b) => a - b).map((time) => `${series} ${valueAt(end - time)} ${time}`);
}

/** What the exporter and Prometheus would have recorded, as OpenMetrics. */
function openMetrics(end) {
  const lines = [];
  const constant = (name, labels, value, seconds = DAYS * DAY) => lines.push(...samples(seriesOf(name, labels), end, seconds, [], () => value));
  constant('up', TARGET, 1);
  constant('upkeep_build_info', { ...TARGET, version: '0.1.0' }, 1, SHOWN);
  for (const { service, group, tier = 'critical', objective, events } of SERVICES) {
    const labels = { ...TARGET, service, group, tier };
    const changes = events.flatMap(({ from, to }) => [from, to]);
    const isOn = (kind, ago) => events.some((event) => event.kind === kind && ago <= event.from && ago > event.to);
    const changing = (name, value, seconds = DAYS * DAY, more = {}) =>
      lines.push(...samples(seriesOf(name, { ...labels, ...more }), end, seconds, changes, value));
    const statusAt = (ago) => ['down', 'degraded'].find((kind) => isOn(kind, ago)) ?? 'up';
    constant('upkeep_service_info', { ...labels, name: service }, 1, SHOWN);
    constant('upkeep_service_objective_ratio', labels, objective);
    constant('upkeep_service_objective_allowance_seconds', labels, 30);
    changing('upkeep_service_up', (ago) => (isOn('down', ago) ? 0 : 1));
    changing('upkeep_service_impacted', (ago) => Number(isOn('impacted', ago)));
    changing('upkeep_service_maintenance', (ago) => Number(isOn('maintenance', ago)));
    for (const status of STATUSES) changing('upkeep_service_status', (ago) => Number(statusAt(ago) === status), SHOWN, { status });
  }
  return `${lines.join('\n')}\n# EOF\n`;
}

/**
 * The recording rules in steps: those of a step use only series of the steps before. promtool evaluates each rule for all times
 * before the next one, so a rule does not see the values of another rule of the same run. Only the last step has rules that no other
 * rule uses. The picture needs only a day of them.
 */
function steps(groups) {
  const rules = groups.flatMap(({ name, interval, rules: all }) =>
    all.filter(({ type }) => type === 'recording').map((rule) => ({ group: name, interval, record: rule.name, expr: rule.query })),
  );
  const uses = (rule, other) => rule !== other && new RegExp(`${other.record}\\b`).test(rule.expr);
  const isUsed = (rule) => rules.some((other) => uses(other, rule));
  const found = [];
  for (let left = rules.filter(isUsed); left.length > 0; ) {
    const ready = left.filter((rule) => !left.some((other) => uses(rule, other)));
    if (ready.length === 0) throw new Error('rules/slo.yml: rules use one another in a circle');
    found.push({ rules: ready, seconds: DAYS * DAY });
    left = left.filter((rule) => !ready.includes(rule));
  }
  return [...found, { rules: rules.filter((rule) => !isUsed(rule)), seconds: SHOWN }];
}

/** A file of rules. JSON is YAML. */
function ruleFile(rules) {
  const groups = [...new Set(rules.map(({ group }) => group))].map((name) => {
    const own = rules.filter(({ group }) => group === name);
    return { name, interval: `${own[0].interval}s`, rules: own.map(({ record, expr }) => ({ record, expr })) };
  });
  return JSON.stringify({ groups });
}

/** Starts it. Returns its URL, and the time of the last sample in milliseconds. */
export async function objectives(parent) {
  const folder = join(parent, 'objectives');
  const data = join(folder, 'data');
  const end = Math.floor(Date.now() / 1000 / MINUTE) * MINUTE;
  mkdirSync(data, { recursive: true });
  const promtool = (...args) => execFileSync('promtool', ['tsdb', 'create-blocks-from', BLOCK, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  writeFileSync(join(folder, 'samples.txt'), openMetrics(end));
  promtool('openmetrics', join(folder, 'samples.txt'), data);

  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const serve = async (config, storage) => {
    writeFileSync(join(folder, 'prometheus.yml'), JSON.stringify(config));
    const server = start(folder, 'prometheus', 'prometheus', [
      `--config.file=${folder}/prometheus.yml`, `--storage.tsdb.path=${storage}`, '--storage.tsdb.retention.time=100d',
      `--web.listen-address=127.0.0.1:${port}`,
    ]); // prettier-ignore
    await eventually('Prometheus', 60, async () => (await fetch(`${url}/-/ready`)).ok);
    return server;
  };
  // Prometheus parses the rules. It must not evaluate them now: its values would be newer than those of promtool.
  let server = await serve({ rule_files: [join(HERE, '../../rules/slo.yml')] }, join(folder, 'empty'));
  const { groups } = (await (await fetch(`${url}/api/v1/rules`)).json()).data;
  await stop(server);
  // All steps have the same file name: the evaluation times of a group depend on it.
  const file = join(folder, 'rules.yml');
  server = await serve({}, data);
  for (const { rules, seconds } of steps(groups)) {
    writeFileSync(file, ruleFile(rules));
    promtool('rules', `--url=${url}`, `--start=${end - seconds}`, `--end=${end}`, `--output-dir=${data}`, file);
    // A start finds the new blocks at once.
    await stop(server);
    server = await serve({}, data);
  }
  return { url, to: end * 1000 };
}
