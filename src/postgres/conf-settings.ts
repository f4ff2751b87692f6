import type { GenericOption } from '../spec/schema.ts';
import { oneLine, quoteConf, settingName } from './conf-syntax.ts';

/** The spec's settings between their two markers, in order. A setting without a value is left out, since Postgres would
 *  refuse the whole file.
 *  @param note called for each setting that is left out */
export function settingsSection(settings: readonly GenericOption[], note: (text: string) => void): string[] {
  const lines = settings.flatMap(({ name, value, vartype }, at) => {
    const path = `spec.cluster.settings[${at}]`;
    settingName(name, `${path}.name`);
    if (value === null) {
      note(`${path}: setting ${name} has no value and is left out`);
      return [];
    }
    const text =
      vartype === 'string' || value.trim() === ''
        ? quoteConf(value, `${path}.value`)
        : oneLine(value, `${path}.value`);
    return [`${name} = ${text}`];
  });
  const body = settings.length === 0 ? [''] : lines;
  return ['# Managed by compute_ctl: begin', ...body, '# Managed by compute_ctl: end'];
}
