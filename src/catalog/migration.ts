import { migrations as files } from 'virtual:migrations';

/** A one-time change of the system database. The list only ever grows at its end. */
export interface Migration {
  readonly id: number;
  readonly name: string;
  readonly text: string;
  /** Counts as done without being run. */
  readonly skip: boolean;
  /** Major version of PostgreSQL that it needs, 0 for any. */
  readonly needs: number;
}

/** Reads what the header of a file says about it. */
export const parseMigration = ({
  id,
  name,
  text,
}: {
  id: number;
  name: string;
  text: string;
}): Migration => ({
  id,
  name,
  text,
  skip: text.startsWith('-- SKIP'),
  needs: Number(/^--.*\bNeeds: PostgreSQL (\d+)/m.exec(text)?.[1] ?? 0),
});

export const migrations: readonly Migration[] = files.map(parseMigration);
