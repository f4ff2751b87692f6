/** Whose use does not count. */
export interface Client {
  readonly role: string;
  readonly application: string;
}

/** Reads `--suspend-ignore`: names of roles and applications, with commas between them. `role:NAME` and `app:NAME` mean one of the
 *  two; a `*` at the end stands for anything. */
export function ignoring(list: string): (client: Client) => boolean {
  const tests = list
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
    .map(testOf);
  return (client) => tests.some((matches) => matches(client));
}

function testOf(entry: string): (client: Client) => boolean {
  const [, kind, name = ''] = /^(?:(role|app):)?(.*)$/s.exec(entry) ?? [];
  const matches = name.endsWith('*')
    ? (text: string): boolean => text.startsWith(name.slice(0, -1))
    : (text: string): boolean => text === name;
  if (kind === 'role') return ({ role }) => matches(role);
  if (kind === 'app') return ({ application }) => matches(application);
  return ({ role, application }) => matches(role) || matches(application);
}
