// Applies the transformations and the field configuration of a panel with @grafana/data.

import {
  FieldConfigOptionsRegistry,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  identityOverrideProcessor,
  standardTransformers,
  standardTransformersRegistry,
  transformDataFrame,
} from '@grafana/data';
import { lastValueFrom } from 'rxjs';

// Properties that overrides and defaults set. Those below `custom` belong to the panel type.
const PROPERTIES = ['color', 'decimals', 'displayName', 'links', 'mappings', 'max', 'min', 'noValue', 'thresholds', 'unit'];

// Two names stand for one transformer.
standardTransformersRegistry.setInit(() =>
  [...new Set(Object.values(standardTransformers))].map((transformer) => ({
    id: transformer.id,
    name: transformer.name,
    transformation: async () => transformer,
  })),
);

function registry(panel) {
  const defaults = Object.keys(panel.fieldConfig?.defaults?.custom ?? {});
  const overrides = (panel.fieldConfig?.overrides ?? []).flatMap(({ properties }) => properties.map(({ id }) => id));
  const custom = overrides.filter((id) => id.startsWith('custom.')).map((id) => id.slice('custom.'.length));
  const option = (id, path, isCustom) => ({
    id,
    path,
    isCustom,
    name: id,
    process: identityOverrideProcessor,
    shouldApply: () => true,
  });
  return new FieldConfigOptionsRegistry(() => [
    ...PROPERTIES.map((path) => option(path, path, false)),
    ...[...new Set([...defaults, ...custom])].map((path) => option(`custom.${path}`, path, true)),
  ]);
}

/** JSON has no -Infinity: the first step of thresholds is null in files. */
function withThresholds(value) {
  return JSON.parse(JSON.stringify(value), (key, inner) =>
    key === 'steps' ? inner.map((step) => ({ ...step, value: step.value ?? -Infinity })) : inner,
  );
}

/** The frames of a panel, ready to be drawn. `replace` replaces variables. */
export async function prepare(panel, frames, theme, replace) {
  const transformed = await lastValueFrom(transformDataFrame(panel.transformations ?? [], frames));
  const prepared = applyFieldOverrides({
    data: transformed,
    fieldConfig: withThresholds(panel.fieldConfig ?? { defaults: {}, overrides: [] }),
    fieldConfigRegistry: registry(panel),
    replaceVariables: replace,
    theme,
    timeZone: 'utc',
  });
  cacheFieldDisplayNames(prepared);
  return prepared;
}
