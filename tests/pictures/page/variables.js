// Replaces Grafana's variables in queries and names.

const VARIABLE = /\$(?:\{([\w.]+)(?::\w+)?\}|([A-Za-z_]\w*))/g;

/** Escapes a value for the regular expressions of PromQL, as Grafana does. */
export const escaped = (value) => value.replace(/[\\^$*+?.()|[\]{}]/g, '\\\\$&');

/** Replaces `$name`, `${name}` and `${name:format}`. Unknown names stay: `$1` belongs to label_replace. */
export function replaceVariables(text, values) {
  return text.replace(VARIABLE, (whole, braced, plain) => values[braced ?? plain] ?? whole);
}

/** The values of all variables of a dashboard: the selected ones, and otherwise all, or the first one if only one can be selected. */
export async function variableValues(dashboard, prometheus, selected) {
  const values = {};
  for (const variable of dashboard.templating.list) {
    if (variable.type === 'datasource') {
      values[variable.name] = 'prometheus';
    } else if (selected[variable.name]) {
      values[variable.name] = selected[variable.name];
    } else if (variable.includeAll) {
      values[variable.name] = variable.allValue;
    } else {
      values[variable.name] = (await options(variable, prometheus, values))[0] ?? '';
    }
  }
  return values;
}

/** The values that a variable offers, from its `label_values(SELECTOR, LABEL)`. */
export async function options(variable, prometheus, values) {
  const [, selector, label] = /^label_values\((.*),\s*(\w+)\)$/s.exec(variable.query.query);
  const result = await prometheus.instant(`group by (${label}) (${replaceVariables(selector, values)})`);
  return result.map(({ metric }) => metric[label]).filter(Boolean).sort();
}
