/** Settings of which a standby may have no less than its primary had at any time since the base backup, or it does not start, with
 *  their defaults.
 *  @see https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN */
const defaults: Readonly<Record<string, number>> = {
  max_connections: 100,
  max_wal_senders: 10,
  max_worker_processes: 8,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
};

type Settings = Readonly<Record<string, string>>;
type Largest = { readonly largest: Readonly<Record<string, number>> };

/** The largest values that there have been, since nobody knows which base backup a standby begins with. */
export const largestSoFar = (settings: Settings, before: Largest | null): Largest['largest'] =>
  Object.fromEntries(
    Object.keys(defaults).flatMap((name) => {
      const values = [before?.largest[name], Number(settings[name])].filter(
        (value): value is number => value !== undefined && Number.isSafeInteger(value),
      );
      return values.length === 0 ? [] : [[name, Math.max(...values)]];
    }),
  );

/** The settings of a replica or a static node. */
export function forStandby(settings: Settings, { largest }: Largest): Settings {
  const raised = Object.entries(largest).map(([name, value]) => [
    name,
    String(Math.max(value, defaults[name] ?? 0)),
  ]);
  return { ...settings, ...(Object.fromEntries(raised) as Record<string, string>) };
}
