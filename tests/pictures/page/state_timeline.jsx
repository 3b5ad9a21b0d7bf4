// The panel type state-timeline. Grafana's own belongs to Grafana itself (AGPL), not to its packages. So this is our own drawing of
// the same data: one row per series, one bar per state, with the texts and colours of @grafana/data. A note in the panel says so.

import { FieldType, dateTimeFormat, formattedValueToString, getFieldDisplayName } from '@grafana/data';
import { measureText } from '@grafana/ui';
import { NoData } from './panels.jsx';

const FONT_SIZE = 12;
const AXIS_HEIGHT = 20;
const LEGEND_HEIGHT = 22;
const NAME_GAP = 10;
const TICKS = [60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200].map((seconds) => seconds * 1000);

/** Consecutive equal values become one state. A state ends where the next one begins, or where data is missing. */
function states(frame, field) {
  const time = frame.fields.find(({ type }) => type === FieldType.time);
  const step = time.config.interval ?? 0;
  const found = [];
  field.values.forEach((value, index) => {
    const from = time.values[index];
    const last = found.at(-1);
    if (value == null) return;
    if (last && last.value === value && from - last.to <= step) {
      last.to = from + step;
    } else {
      found.push({ value, from, to: from + step });
    }
  });
  return found;
}

export function StateTimeline({ panel, frames, theme, width, height, range }) {
  const rows = frames.flatMap((frame) =>
    frame.fields
      .filter(({ type }) => type === FieldType.number)
      .map((field) => ({ name: getFieldDisplayName(field, frame, frames), field, states: states(frame, field) })),
  );
  if (rows.length === 0) return <NoData panel={panel} />;
  const left = Math.min(Math.max(...rows.map(({ name }) => measureText(name, FONT_SIZE).width)) + NAME_GAP, width / 3);
  const [from, to] = [range.from.valueOf(), range.to.valueOf()];
  const x = (time) => left + ((Math.min(Math.max(time, from), to) - from) / (to - from)) * (width - left);
  const rowHeight = (height - AXIS_HEIGHT - LEGEND_HEIGHT) / rows.length;
  const bar = rowHeight * panel.options.rowHeight;
  const shown = new Map();
  const bars = rows.flatMap(({ field, states: all }, row) =>
    all.map(({ value, from: begin, to: end }) => {
      const display = field.display(value);
      const text = formattedValueToString(display);
      shown.set(text, display.color);
      const [start, size] = [x(begin), x(end) - x(begin)];
      const fits = measureText(text, FONT_SIZE).width + 6 < size;
      const top = row * rowHeight + (rowHeight - bar) / 2;
      return (
        <g key={`${row} ${begin}`}>
          <rect x={start} y={top} width={size} height={bar} fill={display.color} fillOpacity={panel.fieldConfig.defaults.custom.fillOpacity / 100} />
          {fits && (
            <text x={start + 4} y={top + bar / 2} dominantBaseline="central" fill={theme.colors.getContrastText(display.color)}>
              {text}
            </text>
          )}
        </g>
      );
    }),
  );
  const step = TICKS.find((ms) => (to - from) / ms <= width / 90) ?? TICKS.at(-1);
  const ticks = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) ticks.push(time);
  const bottom = height - AXIS_HEIGHT - LEGEND_HEIGHT;
  return (
    <div className="state-timeline">
      <svg width={width} height={height - LEGEND_HEIGHT} fontSize={FONT_SIZE} fill={theme.colors.text.primary}>
        {rows.map(({ name }, row) => (
          <text key={name + row} x={left - NAME_GAP} y={(row + 0.5) * rowHeight} dominantBaseline="central" textAnchor="end">
            {name}
          </text>
        ))}
        {bars}
        {ticks.map((time) => (
          <text key={time} x={x(time)} y={bottom + AXIS_HEIGHT - 5} textAnchor={time - from < step / 4 ? 'start' : 'middle'}>
            {dateTimeFormat(time, { format: 'HH:mm', timeZone: 'utc' })}
          </text>
        ))}
      </svg>
      <div className="legend" style={{ height: LEGEND_HEIGHT }}>
        {[...shown].map(([text, color]) => (
          <span key={text}>
            <i style={{ background: color }} /> {text}
          </span>
        ))}
      </div>
    </div>
  );
}
