import { ComputeError } from '../core/errors.ts';
import type { PgTarget } from './target.ts';
import { toTarget } from './libpq.ts';
import { type Parameters, parseUrl } from './libpq-syntax.ts';

export { type LibpqTarget, parseLibpqUrl } from './libpq.ts';

const hint = 'correct --connstr: use a URL like postgresql://cloud_admin@localhost:5432/postgres';

const defaultUser = 'cloud_admin';

/** Parses `--connstr`, the address of this compute's Postgres. It must be a URL.
 *  The start-up options override cluster settings that could disturb compute_ctl. The URL's own options come after them
 *  and so take precedence.
 *  @throws ComputeError `connstr`; the message never holds the URL, which may carry a password */
export function parseConnstr(text: string): PgTarget {
  const parameters = urlParameters(text);
  try {
    const { applicationName: _, connectTimeoutMs: __, ...target } = toTarget(parameters, () => defaultUser);
    return { ...target, options: `${ownOptions(target.user)} ${target.options}`.trimEnd() };
  } catch (error) {
    throw new ComputeError('connstr', 'cannot build postgres config from connstr', { cause: error, hint });
  }
}

function urlParameters(text: string): Parameters {
  if (!/^postgres(?:ql)?:\/\//.test(text)) {
    const cause = new Error('it does not start with postgresql:// or postgres://');
    throw new ComputeError('connstr', 'cannot parse connstr as a URL', { cause, hint });
  }
  try {
    return parseUrl(text);
  } catch (cause) {
    throw new ComputeError('connstr', 'cannot parse connstr as a URL', { cause, hint });
  }
}

const ownOptions = (user: string): string =>
  `-c role=${escapeOption(user)} -c default_transaction_read_only=off -c search_path= ` +
  '-c statement_timeout=0 -c pgaudit.log=none';

/** In start-up options a backslash escapes blanks and itself. */
const escapeOption = (text: string): string => text.replaceAll(/[\s\\]/g, String.raw`\$&`);
