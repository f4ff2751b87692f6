/** The page, made of `page/` by `scripts/dashboard-page.mjs`. */
declare module 'virtual:dashboard-page' {
  export const page: {
    readonly html: string;
    /** The part of the content security policy that names its script and its style by their hashes. */
    readonly policy: string;
  };
}
