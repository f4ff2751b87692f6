import { ComputeError } from '../../core/errors.ts';
import { applyFile } from '../desired/apply.ts';
import { readDesired } from '../desired/read.ts';
import { mainName } from '../names.ts';
import type { Action } from './action.ts';
import { digestOf } from './plan.ts';

export const applyAction: Action = {
  title: 'Apply',
  doc: 'Makes the compute what compute.json says, now and at every later start. One that sleeps is woken. Nothing is dropped.',
  dangerous: false,
  targets: ({ plan }) => (plan?.state === 'known' && plan.changes.length > 0 ? [mainName] : []),
  lines: ({ plan }) => plan?.changes ?? [],
  fields: ({ plan }) => [
    {
      name: 'restart',
      label: 'Restart Postgres where a change needs it',
      kind: 'flag',
      hint: 'sessions end; otherwise such changes wait for the next start',
      value: '',
      choices: [],
    },
    { name: 'digest', label: '', kind: 'hidden', hint: '', value: plan?.digest ?? '', choices: [] },
  ],
  async run({ dir, pgBinDir, report }, _, fields) {
    const read = readDesired(dir, null);
    if (digestOf(read) !== fields['digest'])
      throw new ComputeError('conflict', 'compute.json was changed since its plan was shown', {
        hint: 'look at the plan, then apply it',
      });
    let told = '';
    const restart = fields['restart'] === 'yes';
    const options = { file: null, pgBinDir, restart, prune: false, yes: false };
    const code = await applyFile(dir, read, options, {
      json: false,
      progress: (what) => report.progress(what, ''),
      result: (_value, said) => (told = said),
    });
    if (code !== 0) throw new ComputeError('conflict', told, { hint: 'correct it and apply again' });
    return told;
  },
};
