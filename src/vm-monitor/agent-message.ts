import * as v from 'valibot';

const whole = (what: string, most = Number.MAX_SAFE_INTEGER) => {
  const why = `must be ${what}`;
  return v.pipe(v.number(why), v.safeInteger(why), v.minValue(0, why), v.maxValue(most, why));
};

/** Valibot also accepts a list as an object. */
const notAList = v.custom<object>((value) => !Array.isArray(value), 'must be an object');
const content = <E extends v.ObjectEntries>(entries: E) =>
  v.pipe(notAList, v.object(entries, 'must be an object'));

const id = whole('a whole number');
/** `mem` is the VM's memory as seen from outside. */
const size = v.object(
  { cpu: v.number('must be a number'), mem: whole('a whole number of bytes') },
  'must be an object',
);
const complaint = content({ error: v.string('must be a string') });

/** The agent's messages after the handshake. Keys may come in any order; unknown keys are ignored. */
export const agentMessage = v.variant(
  'type',
  [
    v.pipe(
      v.object({ type: v.literal('HealthCheck'), id, content: content({}) }),
      v.transform(({ type, id }) => ({ type, id })),
    ),
    v.pipe(
      v.object({ type: v.literal('UpscaleNotification'), id, content: content({ granted: size }) }),
      v.transform(({ type, id, content: { granted } }) => ({ type, id, memBytes: granted.mem })),
    ),
    v.pipe(
      v.object({ type: v.literal('DownscaleRequest'), id, content: content({ target: size }) }),
      v.transform(({ type, id, content: { target } }) => ({ type, id, memBytes: target.mem })),
    ),
    v.pipe(
      v.object({ type: v.picklist(['InvalidMessage', 'InternalError']), id, content: complaint }),
      v.transform(({ type, id, content: { error } }) => ({ type, id, error })),
    ),
  ],
  ({ input, path }) =>
    path === undefined
      ? 'not an object'
      : typeof input === 'string'
        ? `unknown type ${JSON.stringify(input.slice(0, 100))}`
        : 'no type',
);

const version = whole('an integer from 0 to 255', 255);
/** The agent's first message. */
export const versionRange = v.object({ min: version, max: version });
