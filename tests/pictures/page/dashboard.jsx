// Draws one dashboard from its JSON, with data of a Prometheus. `window.draw` returns the height of the page when all is drawn.

import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import { EventBusSrv, ThemeContext, createTheme, dateMath, dateTime, locationUtil } from '@grafana/data';
import { GlobalStyles, PanelChrome, PanelContextProvider } from '@grafana/ui';
import { Component } from 'react';
import { createRoot } from 'react-dom/client';
import { prepare } from './fields.js';
import { TYPES } from './panels.jsx';
import { Prometheus } from './prometheus.js';
import { escaped, options, replaceVariables, variableValues } from './variables.js';

// Grafana's grid: 24 columns, rows of 30 pixels, gaps of 8 pixels.
const COLUMNS = 24;
const ROW = 30;
const GAP = 8;
const HEADER = 56;
const theme = createTheme({ colors: { mode: 'dark' } });

locationUtil.initialize({ config: { appSubUrl: '' }, getVariablesUrlParams: () => ({}), getTimeRangeForUrl: () => ({}) });

/** Panels with `repeat` once for each value of their variable, and the panels below them moved down. */
async function repeated(dashboard, prometheus, values) {
  const panels = [];
  let moved = 0;
  for (const panel of [...dashboard.panels].sort((a, b) => a.gridPos.y - b.gridPos.y || a.gridPos.x - b.gridPos.x)) {
    const place = { ...panel.gridPos, y: panel.gridPos.y + moved };
    if (!panel.repeat) {
      panels.push({ ...panel, gridPos: place, values });
      continue;
    }
    const variable = dashboard.templating.list.find(({ name }) => name === panel.repeat);
    const all = await options(variable, prometheus, values);
    const perRow = Math.min(all.length, panel.maxPerRow ?? 4);
    all.forEach((value, index) => {
      const w = COLUMNS / perRow;
      const gridPos = { ...place, w, x: (index % perRow) * w, y: place.y + Math.floor(index / perRow) * place.h };
      panels.push({ ...panel, id: `${panel.id}-${value}`, gridPos, values: { ...values, [panel.repeat]: escaped(value) }, title: panel.title.replace(`$${panel.repeat}`, value) });
    });
    moved += (Math.ceil(all.length / perRow) - 1) * place.h;
  }
  return panels;
}

function Row({ panel, place }) {
  return (
    <div className="dashboard-row" style={place}>
      <span>▾</span> {panel.title}
    </div>
  );
}

/** Shows the error of a panel in its place, and reports it. */
class Guard extends Component {
  state = {};
  static getDerivedStateFromError(error) {
    window.failures.push(String(error.stack ?? error));
    return { error };
  }
  render() {
    return this.state.error ? <div className="no-data">{String(this.state.error)}</div> : this.props.children;
  }
}

function Panel({ panel, frames, place, range, replace }) {
  const Type = TYPES[panel.type];
  const eventBus = new EventBusSrv();
  const note = panel.type === 'state-timeline' && <span className="note">drawn by upkeep_exporter's tests, not by Grafana</span>;
  return (
    <div style={place}>
      <PanelContextProvider value={{ eventsScope: 'global', eventBus, canAddAnnotations: () => false }}>
        <PanelChrome title={panel.title} titleItems={note} width={place.width} height={place.height}>
          {(width, height) => (
            <Guard>
              <Type panel={panel} frames={frames} theme={theme} width={width} height={height} range={range} replace={replace} />
            </Guard>
          )}
        </PanelChrome>
      </PanelContextProvider>
    </div>
  );
}

/** Draws `dashboard`. `to` is the end of the time range in milliseconds; `from` replaces the start of the dashboard's own. */
window.draw = async ({ dashboard, url, to, from, selected, width }) => {
  window.failures = [];
  const until = dateTime(to);
  const since = from ? dateTime(from) : dateMath.parse(dashboard.time.from.replace('now', `${until.toISOString()}||`));
  const range = { from: since, to: until, raw: { from: since, to: until } };
  const prometheus = new Prometheus(url, range);
  const values = await variableValues(dashboard, prometheus, selected);
  const panels = await repeated(dashboard, prometheus, values);
  const column = (width - GAP * (COLUMNS + 1)) / COLUMNS;
  const drawn = await Promise.all(
    panels.map(async (panel) => {
      const { x, y, w, h } = panel.gridPos;
      const place = {
        position: 'absolute',
        left: GAP + x * (column + GAP),
        top: HEADER + y * (ROW + GAP),
        width: w * column + (w - 1) * GAP,
        height: h * ROW + (h - 1) * GAP,
      };
      if (panel.type === 'row') return <Row key={panel.id} panel={panel} place={place} />;
      const replace = (text) => replaceVariables(text, panel.values);
      const frames = await prepare(panel, await prometheus.frames(panel, panel.values, place.width), theme, replace);
      return <Panel key={panel.id} panel={panel} frames={frames} place={place} range={range} replace={replace} />;
    }),
  );
  const height = HEADER + Math.max(...panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * (ROW + GAP);
  const time = (moment) => moment.utc().format('YYYY-MM-DD HH:mm');
  const chosen = dashboard.templating.list.filter(({ type }) => type !== 'datasource');
  createRoot(document.getElementById('root')).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <div className="header">
        <b>{dashboard.title}</b>
        {chosen.map(({ name, label, allValue }) => (
          <span key={name} className="variable">
            {label} <em>{values[name] === allValue ? 'All' : values[name]}</em>
          </span>
        ))}
        <span className="range">
          {time(since)} to {time(until)} UTC
        </span>
      </div>
      {drawn}
    </ThemeContext.Provider>,
  );
  await document.fonts.ready;
  return height;
};
