import { ComputeError } from '../../core/errors.ts';
import { type ApplyOptions, applyFile } from '../desired/apply.ts';
import { readDesired } from '../desired/read.ts';
import { mainName } from '../names.ts';
import type { Action, ActionContext, Facts, Fields } from './action.ts';
import { FieldProblems, pathOf } from './field-problems.ts';
import type { Field } from './model.ts';
import { digestOf, digestOfDrop, dropsDigest } from './plan.ts';

const field = (name: string, kind: Field['kind'], more: Partial<Field> = {}): Field => ({
  ...{ name, kind, label: '', hint: '', value: '', choices: [], ...more },
});

const common = ({ plan }: Facts): Field[] => [
  field('restart', 'flag', {
    label: 'Restart Postgres where a change needs it',
    hint: 'sessions end; otherwise such changes wait for the next start',
  }),
  field('digest', 'hidden', { value: plan?.digest ?? '' }),
];

export const applyAction: Action = {
  title: 'Apply',
  doc: 'Makes the compute what compute.json says, now and at every later start. One that sleeps is woken. Nothing is dropped.',
  dangerous: false,
  readsPlan: true,
  targets: ({ plan }) => (plan?.state === 'known' && plan.changes.length > 0 ? [mainName] : []),
  lines: ({ plan }) => plan?.changes ?? [],
  fields: common,
  run: (context, _, fields) => applied(context, fields, { prune: false }),
};

const word = 'drop';

export const pruneAction: Action = {
  title: 'Apply and drop',
  doc: 'Makes the compute what compute.json says, and drops the databases and roles that it no longer names: what is in these databases is lost. One that sleeps is woken.',
  dangerous: true,
  readsPlan: true,
  // Without a name: "drop main" would be something else.
  targets: ({ plan }) => (plan?.state === 'known' && plan.drops.length > 0 ? [''] : []),
  lines: ({ plan }) => [...(plan?.changes ?? []), ...(plan?.drops ?? []).map((one) => `- ${one}`)],
  fields: (facts) => [
    ...common(facts),
    field('drops', 'hidden', { value: dropsDigest(facts.plan?.drops ?? []) }),
    field('confirm', 'text', { label: `To drop them, write: ${word}` }),
  ],
  run(context, _, fields) {
    if (fields['confirm']?.trim().toLowerCase() !== word)
      throw new FieldProblems([{ path: pathOf('confirm'), message: `Expected the word ${word}.` }]);
    return applied(context, fields, {
      prune: true,
      // Looked at once more, when nobody else can apply anything.
      confirm(drop) {
        if (digestOfDrop(drop) === fields['drops']) return Promise.resolve(true);
        throw new ComputeError('conflict', 'what would be dropped is not what was shown', {
          hint: lookAgain,
        });
      },
    });
  },
};

const lookAgain = 'look at the plan, then apply it';

async function applied(
  { dir, pgBinDir, report }: ActionContext,
  fields: Fields,
  drops: Pick<ApplyOptions, 'prune' | 'confirm'>,
): Promise<string> {
  const read = readDesired(dir, null);
  if (digestOf(read) !== fields['digest'])
    throw new ComputeError('conflict', 'compute.json was changed since its plan was shown', {
      hint: lookAgain,
    });
  let told = '';
  const options = { file: null, pgBinDir, restart: fields['restart'] === 'yes', yes: false, ...drops };
  const code = await applyFile(dir, read, options, {
    json: false,
    progress: (what) => report.progress(what, ''),
    result: (_value, said) => (told = said),
  });
  if (code !== 0) throw new ComputeError('conflict', told, { hint: 'correct it and apply again' });
  return told;
}
