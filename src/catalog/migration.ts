import { migrations as files } from 'virtual:migrations';

/** A one-time change of the system database. New ones are added only at the end of the list. */
export interface Migration {
  readonly id: number;
  readonly name: string;
  readonly text: string;
  /** Counts as done without being run. */
  readonly skip: boolean;
  /** Major version of PostgreSQL that it requires, 0 for any. */
  readonly needs: number;
}

/** Reads a migration from its file and the header in it. */
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
