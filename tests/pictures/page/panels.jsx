// The panel types, drawn by components of @grafana/ui. TYPES must contain every type that the dashboards use.

import { FieldType, VizOrientation, getDisplayValueAlignmentFactors, getFieldDisplayValues } from '@grafana/data';
import { BarGauge, BigValue, TimeSeries, VizRepeater } from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { StateTimeline } from './state_timeline.jsx';

function displayValues({ panel, frames, theme, replace }) {
  return getFieldDisplayValues({
    fieldConfig: panel.fieldConfig,
    reduceOptions: panel.options.reduceOptions,
    replaceVariables: replace,
    theme,
    data: frames,
    sparkline: panel.options.graphMode !== 'none',
    timeZone: 'utc',
  });
}

function Stat(props) {
  const { panel, theme, width, height, frames } = props;
  const { options } = panel;
  const draw = ({ value, count, orientation, alignmentFactors, ...size }) => (
    <BigValue
      {...size}
      theme={theme}
      value={value.display}
      sparkline={value.sparkline}
      count={count}
      parentOrientation={orientation}
      alignmentFactors={alignmentFactors}
      colorMode={options.colorMode}
      graphMode={options.graphMode}
      justifyMode={options.justifyMode}
      textMode={options.textMode}
      text={options.text}
      disableWideLayout={!options.wideLayout}
    />
  );
  return (
    <VizRepeater
      getValues={() => displayValues(props)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={draw}
      width={width}
      height={height}
      source={frames}
      renderCounter={0}
      itemSpacing={3}
      autoGrid
      orientation={options.orientation}
    />
  );
}

function Bars(props) {
  const { panel, theme, width, height, frames } = props;
  const { options } = panel;
  const draw = ({ value, orientation, alignmentFactors, ...size }) => (
    <BarGauge
      {...size}
      theme={theme}
      value={value.display}
      field={value.field}
      display={value.view?.getFieldDisplayProcessor(value.colIndex)}
      orientation={orientation}
      alignmentFactors={alignmentFactors}
      itemSpacing={8}
      lcdCellWidth={12}
      displayMode={options.displayMode}
      text={options.text}
      showUnfilled={options.showUnfilled}
      valueDisplayMode={options.valueMode}
      namePlacement={options.namePlacement}
    />
  );
  return (
    <VizRepeater
      getValues={() => displayValues(props)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      renderValue={draw}
      width={width}
      height={height}
      source={frames}
      renderCounter={0}
      itemSpacing={8}
      orientation={options.orientation ?? VizOrientation.Auto}
      minVizWidth={options.minVizWidth}
      minVizHeight={options.minVizHeight}
      maxVizHeight={options.maxVizHeight}
    />
  );
}

function Table({ panel, frames, width, height, range }) {
  const frame = frames.find(({ fields }) => fields.length > 0);
  if (!frame) return <NoData panel={panel} />;
  return (
    <TableNG
      data={frame}
      width={width}
      height={height}
      noHeader={!panel.options.showHeader}
      sortBy={panel.options.sortBy}
      cellHeight={panel.options.cellHeight}
      fieldConfig={panel.fieldConfig}
      noValue={panel.fieldConfig.defaults.noValue}
      timeRange={range}
      enableVirtualization={false}
      structureRev={1}
    />
  );
}

function Graph({ panel, frames, width, height, range }) {
  const drawn = frames.filter(({ fields }) => fields.some(({ type }) => type === FieldType.number));
  if (drawn.length === 0) return <NoData panel={panel} />;
  return (
    <TimeSeries
      frames={drawn}
      structureRev={1}
      timeRange={range}
      timeZone="utc"
      width={width}
      height={height}
      legend={panel.options.legend}
      options={panel.options}
    />
  );
}

/** Grafana shows this if no query returns data. */
export function NoData({ panel }) {
  return <div className="no-data">{panel.fieldConfig?.defaults?.noValue ?? 'No data'}</div>;
}

export const TYPES = {
  bargauge: Bars,
  stat: Stat,
  'state-timeline': StateTimeline,
  table: Table,
  timeseries: Graph,
};
