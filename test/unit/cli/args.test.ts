import { assert, constantFrom, property, string, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ParsedArgs, parseArgs } from '../../../src/cli/args.ts';
import { optionEntries } from '../../../src/config/options.ts';
import { ComputeError } from '../../../src/core/errors.ts';

const needed = ['-D', '/data', '-C', 'postgresql://u@h/d'];

function run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Extract<ParsedArgs, { command: 'run' }> {
  const parsed = parseArgs([...needed, ...args], env);
  if (parsed.command !== 'run') throw new Error(`read as ${parsed.command}`);
  return parsed;
}

function usage(args: readonly string[], env: NodeJS.ProcessEnv = {}): string {
  try {
    parseArgs(args, env);
  } catch (error) {
    if (error instanceof ComputeError && error.code === 'usage') return error.message;
    throw error;
  }
  throw new Error(`accepted: ${args.join(' ')}`);
}

describe('the forms of an option', () => {
  test.each([[['-Dx']], [['-D', 'x']], [['-D=x']], [['--pgdata', 'x']], [['--pgdata=x']]])('%j', (args) => {
    const parsed = parseArgs([...args, '-Cpostgresql://h'], {});
    expect(parsed).toMatchObject({ command: 'run', options: { pgdata: 'x' } });
  });

  test('every value that is not empty arrives as it is, in each form', () => {
    const text = string({ minLength: 1, unit: 'grapheme' }).filter((value) => !value.includes('\0'));
    const forms = constantFrom<(value: string) => string[]>(
      (value) => [`-s=${value}`],
      (value) => [`--spec=${value}`],
      (value) => (/^-./.test(value) ? [`--spec=${value}`] : ['-s', value]),
    );
    assert(
      property(tuple(forms, text), ([form, value]) => {
        expect(run(form(value)).options.spec).toBe(value);
      }),
    );
  });

  test('no words make it do anything but parse or refuse', () => {
    const words = constantFrom(
      '-D',
      '-D=',
      '--dev',
      '--',
      '-',
      '-c',
      '--config=',
      'x',
      '-h',
      '',
      '=',
      '-=',
      '--no-dev',
      'check',
    );
    assert(
      property(tuple(words, words, words), (args) => {
        expect(outcome(args)).toMatch(/^(?:run|check|help|usage)$/);
      }),
    );
  });
});

function outcome(args: readonly string[]): string {
  try {
    return parseArgs(args, {}).command;
  } catch (error) {
    return error instanceof ComputeError ? error.code : String(error);
  }
}

describe('a refusal quotes nothing that may hold a login', () => {
  test.each([
    [['--connst=postgresql://u:hush@h'], /unknown option '--connst' \(did you mean --connstr\?\)/],
    [[...needed, '-p', 'ftp://u:hush@h'], /Expected a URL that starts with http/],
    [[...needed, '-p', 'http://u:hush@h:port'], /Expected a URL/],
    [[...needed, '-r', 'http://u:hush@h?x'], /parameters detected/],
    [[...needed, 'postgresql://u:hush@h'], /unexpected argument/],
  ])('%j', (args, message) => {
    expect(usage(args)).toMatch(message);
    expect(usage(args)).not.toContain('hush');
  });
});

describe('refused with exit code 2', () => {
  test.each<[string[], RegExp]>([
    [[], /required options '-D, --pgdata <DIR>', '-C, --connstr <URL>' not specified/],
    [['-D', 'x'], /required option '-C, --connstr <URL>'/],
    [[...needed, '-c', 'f'], /required option '-i, --compute-id <ID>'/],
    [[...needed, '-p', 'http://cp'], /required option '-i, --compute-id <ID>'/],
    [[...needed, '-D', 'y'], /'-D, --pgdata <DIR>' cannot be used multiple times/],
    [[...needed, '--dev', '--dev'], /'--dev' cannot be used multiple times/],
    [['--pgdat=x'], /unknown option '--pgdat' /],
    [[...needed, 'extra'], /unexpected argument/],
    [[...needed, '--', '-x'], /unexpected argument/],
    [['-D', '-C', 'x'], /option '-D' needs a value, found '-C'/],
    [['-C', 'x', '-D'], /argument missing/],
    [['--dev=true'], /unknown option/],
    [['--lakebase-mode'], /argument missing/],
    [['--lakebase-mode', 'yes'], /Expected true or false/],
    [['--pgdata='], /Expected a path/],
    [['--external-http-port', '65536'], /Expected a port from 0 to 65535/],
    [['--external-http-port', '1e3'], /Expected a port/],
    [['--internal-http-port', ''], /Expected a port/],
    [['--stop-timeout', '0'], /Expected whole seconds from 1/],
    [['--exit-grace-ms', '1.5'], /Expected whole milliseconds/],
    [['--log-format', 'xml'], /Expected text or json/],
    [['-i', '..'], /Expected an id/],
    [['-p', 'ftp://x'], /Expected a URL that starts with http/],
    [['-r', 'http://gw/?'], /parameters detected in remote extensions base URL/],
    [['-r', 'no url'], /Expected a URL/],
    [
      ['--privileged-role-name', 'Admin'],
      /--privileged-role-name can only contain lowercase letters and underscores/,
    ],
    [[...needed, '-c', 'f', '-p', 'http://x'], /cannot be used with/],
    [[...needed, '-s', '{}', '-p', 'http://x'], /cannot be used with/],
    [[...needed, '-S', 'f', '-c', 'f'], /cannot be used with/],
    [[...needed, '--http-port', '1', '--external-http-port', '3080'], /cannot be used with/],
    [[...needed, '--lakebase-mode', 'true', '--http-port', '65535'], /must be below 65535/],
    [['check'], /nothing to check/],
    [['check', '-p', 'http://x'], /compute-id/],
  ])('%j', (args, message) => {
    expect(usage(args)).toMatch(message);
  });

  test('a wrong variable is named', () => {
    expect(usage(needed, { COMPUTE_CTL_EXIT_GRACE_MS: 'soon' })).toBe(
      'environment variable COMPUTE_CTL_EXIT_GRACE_MS is invalid. Expected whole milliseconds from 0 to 1000000000.',
    );
    expect(usage(needed, { POSTGRES_PATH: '' })).toContain('POSTGRES_PATH');
  });

  test('the text of a spec is never in the message', () => {
    expect(usage([...needed, '-s', '{"storage_auth_token":"hush"}', '-p', 'http://x'])).not.toContain('hush');
  });
});

describe('accepted', () => {
  test('the option beats the environment, which beats the default', () => {
    expect(run([]).options.pgbin).toBe('postgres');
    expect(run([], { POSTGRES_PATH: '/a/postgres' }).options.pgbin).toBe('/a/postgres');
    expect(run(['-b', '/b/postgres'], { POSTGRES_PATH: '' }).options.pgbin).toBe('/b/postgres');
  });

  test('the command line of the older README, without an id', () => {
    const { options } = run(['-S', 'spec.json', '-b', '/usr/local/bin/postgres']);
    expect(options).toMatchObject({ specPath: 'spec.json', computeId: null });
  });

  test('both older forms at once, and no source at all', () => {
    expect(run(['-s', '{}', '-S', 'f']).options).toMatchObject({ spec: '{}', specPath: 'f' });
    expect(run([]).options).toMatchObject({
      spec: null,
      specPath: null,
      config: null,
      controlPlaneUri: null,
    });
  });

  test('the command line that neon_local uses', () => {
    const { options, notes } = run(
      (
        '--external-http-port 1 --internal-http-port 2 --config c.json --pgbin b/postgres --compute-id ep ' +
        '--remote-ext-base-url http://gw/x/// --dev --privileged-role-name admin_'
      ).split(' '),
    );
    expect(options).toMatchObject({
      externalHttpPort: 1,
      computeId: 'ep',
      remoteExtBaseUrl: 'http://gw/x/',
      dev: true,
    });
    expect(notes).toEqual([]);
  });

  test('the single HTTP port does nothing outside lakebase mode, and says so', () => {
    const { options, notes } = run(['--http-port', '8000']);
    expect(options.externalHttpPort).toBe(3080);
    expect(notes).toEqual([expect.stringContaining('--http-port is ignored')]);
    const lakebase = run(['--http-port', '8000', '--lakebase-mode', 'true']);
    expect(lakebase.options).toMatchObject({ externalHttpPort: 8000, internalHttpPort: 8001 });
    expect(lakebase.notes).toEqual([]);
  });
});

test('help lists every option, and check its own', () => {
  const help = parseArgs(['--bogus', '-h'], {});
  const text = help.command === 'help' ? help.text : '';
  for (const [, { flag, short }] of optionEntries)
    expect(text).toContain(short === undefined ? flag : `${short}, ${flag}`);
  expect(text).toMatch(/check \[options\]/);
  const check = parseArgs(['check', '--help'], {});
  expect(check.command === 'help' ? check.text : '').toContain('--json');
});

test('version is one line', () => {
  const parsed = parseArgs(['--version'], {});
  expect(parsed.command === 'version' ? parsed.text : '').toMatch(/^compute_ctl \S+ \(build \S+\)$/);
});

test('check takes what the daemon takes, and needs only a source', () => {
  expect(parseArgs(['check', '-c', 'f', '--json'], {})).toMatchObject({ command: 'check', json: true });
  expect(parseArgs(['check', ...needed, '-s', '{}'], {})).toMatchObject({ command: 'check', json: false });
});

test('a word that every object knows is not taken for a subcommand', () => {
  for (const word of ['toString', 'constructor', '__proto__']) {
    expect(() => parseArgs([word, ...needed], {})).toThrow(/unexpected argument|unknown command/);
  }
});
