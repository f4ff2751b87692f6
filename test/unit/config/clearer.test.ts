import { describe, expect, test } from 'vitest';
import { parseArgs } from '../../../src/cli/args.ts';

const refusal = (...argv: string[]): string => {
  try {
    parseArgs(argv, {});
    return 'accepted';
  } catch (error) {
    return (error as Error).message;
  }
};

describe('a command line that is wrong says what was meant', () => {
  test.each([
    [['chek'], "unknown command 'chek' (did you mean check?); the commands are check, plan, completion, man"],
    [
      ['plann', '--config', 'x'],
      "unknown command 'plann' (did you mean plan?); the commands are check, plan, completion, man",
    ],
    [['start'], "unknown command 'start'; the commands are check, plan, completion, man"],
    [
      ['--con', 'x'],
      /^unknown option '--con' \(did you mean (?=.*--connstr)(?=.*--config)(?=.*--control-plane-uri)/,
    ],
    [['--pgdat', 'x'], "unknown option '--pgdat' (did you mean --pgdata?)"],
    [['--conifg', 'x'], "unknown option '--conifg' (did you mean --config?)"],
    [['check', '--confg=x'], "unknown option '--confg' (did you mean --config?)"],
    [['check', 'config.json'], 'unexpected argument: options begin with --, and their values follow them'],
    [['check', 'json'], "unexpected argument 'json': options begin with --, and their values follow them"],
    [['--xyzzyxyzzy'], "unknown option '--xyzzyxyzzy'"],
  ])('%j', (argv, message) => {
    const found = refusal(...argv);
    expect(message instanceof RegExp ? message.exec(found)?.input : message).toBe(found);
  });

  test('and does not repeat what may be a secret', () => {
    expect(refusal('--passwd=hunter2')).not.toContain('hunter2');
    expect(refusal('postgresql://a:hunter2@host')).not.toContain('hunter2');
    expect(refusal('check', 'Hunter2')).not.toContain('Hunter2');
  });
});

describe('two servers on one port', () => {
  const run = (...more: string[]) => refusal('-D', '/d', '-C', 'postgresql://a@b/c', ...more);
  test('are refused before they start', () => {
    const both = ['--external-http-port', '4000', '--internal-http-port', '4000'];
    expect(run(...both)).toContain('are both 4000');
    expect(run(...both, '--external-http-host', '127.0.0.1')).toContain('are both 4000');
    expect(run('--internal-http-port', '3080')).toContain('are both 3080');
    expect(run(...both, '--external-http-host', '192.0.2.7')).toBe('accepted');
    const local = ['-D', '/d', '-C', 'postgresql://a@localhost:3081/c'];
    expect(refusal(...local)).toContain('--internal-http-port and the port in --connstr are both 3081');
    expect(run('--external-http-port', '0', '--internal-http-port', '0')).toBe('accepted');
  });
});
