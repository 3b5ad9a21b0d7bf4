// Queries a Prometheus, and turns its results into data frames as Grafana's data source does.

import { FieldType, rangeUtil, toDataFrame } from '@grafana/data';
import { replaceVariables } from './variables.js';

// Of grafana/provisioning/datasources/upkeep.yml.
const SCRAPE_MS = 5000;

/** The HTTP API of a Prometheus. */
export class Prometheus {
  constructor(url, range) {
    this.url = url;
    this.range = range;
  }

  async request(path, parameters) {
    const response = await fetch(`${this.url}/api/v1/${path}`, { method: 'POST', body: new URLSearchParams(parameters) });
    const body = await response.json();
    if (body.status !== 'success') throw new Error(`${body.error}: ${parameters.query}`);
    return body.data.result;
  }

  instant(query) {
    return this.request('query', { query, time: this.range.to.valueOf() / 1000 });
  }

  /** Steps start at multiples of the step, as in Grafana. */
  async steps(query, stepMs) {
    const align = (time) => Math.floor(time.valueOf() / stepMs) * stepMs;
    const parameters = { query, start: align(this.range.from) / 1000, end: align(this.range.to) / 1000, step: stepMs / 1000 };
    return this.request('query_range', parameters);
  }

  /** The data frames of all queries of a panel that is `width` pixels wide. */
  async frames(panel, values, width) {
    const { intervalMs } = rangeUtil.calculateInterval(this.range, panel.maxDataPoints ?? width, `${SCRAPE_MS}ms`);
    const seconds = (ms) => `${Math.round(ms / 1000)}s`;
    const macros = {
      ...values,
      __interval: seconds(intervalMs),
      __rate_interval: seconds(Math.max(intervalMs + SCRAPE_MS, 4 * SCRAPE_MS)),
      __range: seconds(this.range.to - this.range.from),
      __range_s: String(Math.round((this.range.to - this.range.from) / 1000)),
    };
    const targets = (panel.targets ?? []).filter((target) => !target.hide);
    const tables = targets.filter((target) => target.format === 'table').length;
    const frames = targets.map(async (target) => {
      const query = replaceVariables(target.expr, macros);
      if (target.format === 'table') {
        return [table(await this.instant(query), target, tables > 1)];
      }
      const result = target.instant ? await this.instant(query) : await this.steps(query, intervalMs);
      return result.map((series) => timeSeries(series, target, target.instant ? undefined : intervalMs));
    });
    return (await Promise.all(frames)).flat();
  }
}

const number = (text) => (text === 'NaN' ? NaN : text.endsWith('Inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text));

/** One row per series, one column per label. Without series there are no columns. */
function table(result, target, severalTables) {
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  const fields = [
    { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000), config: {} },
    ...labels.map((name) => ({
      name,
      type: FieldType.string,
      values: result.map(({ metric }) => metric[name] ?? ''),
      config: { filterable: true },
    })),
    {
      name: severalTables ? `Value #${target.refId}` : 'Value',
      type: FieldType.number,
      values: result.map(({ value }) => number(value[1])),
      config: {},
    },
  ];
  return toDataFrame({ refId: target.refId, meta: { preferredVisualisationType: 'table' }, fields: result.length ? fields : [] });
}

function timeSeries({ metric, value, values = [value] }, target, interval) {
  const { __name__: name, ...labels } = metric;
  const legend = displayName(target.legendFormat, name ?? '', metric, labels);
  return toDataFrame({
    refId: target.refId,
    name: legend,
    fields: [
      { name: 'Time', type: FieldType.time, values: values.map(([time]) => time * 1000), config: { interval } },
      {
        name: 'Value',
        type: FieldType.number,
        labels,
        values: values.map(([, text]) => number(text)),
        config: { displayNameFromDS: legend },
      },
    ],
  });
}

function displayName(format, name, metric, labels) {
  if (format && format !== '__auto') {
    return format.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, label) => metric[label] ?? '');
  }
  const list = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  return `${name}{${list.join(', ')}}`;
}
