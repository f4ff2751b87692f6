/** The files of `migrations/`, in name order; made by `scripts/migrations-plugin.mjs`. */
declare module 'virtual:migrations' {
  export const migrations: readonly {
    /** The four digits that the file's name begins with. */
    readonly id: number;
    readonly name: string;
    readonly text: string;
  }[];
  /** One query each, with one row that holds true where the migration of that id has done its work. */
  export const checks: readonly { readonly id: number; readonly text: string }[];
}
