import type { Field, FieldProblem } from '../model.ts';
import { h } from './dom.ts';

export interface Form {
  readonly elements: readonly HTMLElement[];
  /** Something is to be written or chosen in it. */
  readonly isWritten: boolean;
  values(): Record<string, string>;
  /** Shows what is wrong at each field, and goes to the first. */
  tell(problems: readonly FieldProblem[]): void;
}

interface Drawn {
  readonly name: string;
  readonly element: HTMLElement;
  readonly value: () => string;
  tell(message: string | null): void;
  focus(): void;
}

/** The fields of an action, as the server describes them. */
export function formOf(fields: readonly Field[], preset: Readonly<Record<string, string>>): Form {
  const shown = fields.filter(({ kind }) => kind !== 'hidden').map((field) => draw(field, preset));
  const hidden = fields.filter(({ kind }) => kind === 'hidden');
  return {
    elements: shown.map(({ element }) => element),
    isWritten: fields.some(({ kind }) => kind === 'text'),
    values: () =>
      Object.fromEntries([
        ...hidden.map(({ name, value }) => [name, value] as const),
        ...shown.map(({ name, value }) => [name, value()] as const),
      ]),
    tell(problems) {
      const found = shown.map((one) => {
        const own = problems.filter(({ path }) => path === `fields.${one.name}`);
        one.tell(own.length === 0 ? null : own.map(({ message }) => message).join('; '));
        return own.length > 0 ? one : null;
      });
      found.find((one) => one !== null)?.focus();
    },
  };
}

function draw(
  { name, label, kind, hint, value, choices }: Field,
  preset: Readonly<Record<string, string>>,
): Drawn {
  const id = `field-${name}`;
  const given = preset[name] ?? value;
  const common = { id, name, 'aria-describedby': `${id}-hint ${id}-problem` };
  const input =
    kind === 'choice'
      ? h(
          'select',
          common,
          ...choices.map((one) => h('option', { value: one, selected: one === given }, one)),
        )
      : kind === 'flag'
        ? h('input', { ...common, type: 'checkbox', checked: given === 'yes' })
        : h('input', {
            ...common,
            type: 'text',
            value: given,
            autocomplete: 'off',
            autocapitalize: 'none',
            spellcheck: 'false',
          });
  const problem = h('p', { id: `${id}-problem`, class: 'problem', hidden: true });
  const title = h('label', { for: id }, label);
  return {
    name,
    element: h(
      'div',
      { class: `field ${kind}` },
      ...(kind === 'flag' ? [input, title] : [title, input]),
      h('p', { id: `${id}-hint`, class: 'hint' }, hint),
      problem,
    ),
    value: () => {
      if (kind !== 'flag') return input.value;
      return (input as HTMLInputElement).checked ? 'yes' : '';
    },
    tell(message) {
      problem.hidden = message === null;
      problem.textContent = message;
      if (message === null) input.removeAttribute('aria-invalid');
      else input.setAttribute('aria-invalid', 'true');
    },
    focus: () => input.focus(),
  };
}
