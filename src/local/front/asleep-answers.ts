/** A compute that sleeps, and what its `up` has counted since it began. */
export interface AsleepFacts {
  readonly sinceMs: number;
  readonly suspends: number;
  readonly wakes: number;
  readonly endedSessions: number;
  readonly clients: number;
}

interface Described {
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  readonly of: (facts: AsleepFacts) => number;
}

/** What `/metrics` has in place of those of compute_ctl, which does not run. */
const metrics: Readonly<Record<string, Described>> = {
  compute_local_asleep: { type: 'gauge', help: '1 while the compute sleeps.', of: () => 1 },
  compute_local_asleep_since_seconds: {
    type: 'gauge',
    help: 'When it fell asleep, in seconds since 1970.',
    of: ({ sinceMs }) => sinceMs / 1000,
  },
  compute_local_suspends_total: {
    type: 'counter',
    help: 'How often it has fallen asleep.',
    of: ({ suspends }) => suspends,
  },
  compute_local_wakes_total: {
    type: 'counter',
    help: 'How often it was woken.',
    of: ({ wakes }) => wakes,
  },
  compute_local_ended_sessions_total: {
    type: 'counter',
    help: 'Sessions that were ended because Postgres was stopped.',
    of: ({ endedSessions }) => endedSessions,
  },
  compute_local_clients: {
    type: 'gauge',
    help: 'Clients that are connected and do not know that it sleeps.',
    of: ({ clients }) => clients,
  },
};

export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly text: string;
}

const json = (status: number, body: object): Answer => ({
  status,
  type: 'application/json',
  text: `${JSON.stringify(body)}\n`,
});

/** What is said on compute_ctl's port while it does not run. Nothing that is asked here wakes it.
 *  @param url as in the request */
export function asleepAnswer(url: string, facts: AsleepFacts): Answer {
  const [path] = url.split('?');
  if (path === '/metrics') {
    const lines = Object.entries(metrics).flatMap(([name, { type, help, of }]) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      `${name} ${of(facts)}`,
    ]);
    return { status: 200, type: 'text/plain; version=0.0.4; charset=utf-8', text: `${lines.join('\n')}\n` };
  }
  if (path === '/status')
    return json(200, {
      status: 'asleep',
      since: new Date(facts.sinceMs).toISOString(),
      suspends: facts.suspends,
      wakes: facts.wakes,
      ended_sessions: facts.endedSessions,
      clients: facts.clients,
    });
  return json(503, { error: 'asleep: compute_ctl does not run; the next connection to Postgres starts it' });
}
