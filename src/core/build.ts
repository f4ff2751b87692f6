declare const BUILD_VERSION: string | undefined;
declare const BUILD_TAG: string | undefined;

/** The version of the package, fixed by the build; `0.0.0` when the sources run as they are. */
export const buildVersion = typeof BUILD_VERSION === 'undefined' ? '0.0.0' : BUILD_VERSION;

/** What the builder called this build (environment variable `BUILD_TAG` of the build), `latest` when it had no name. */
export const buildTag = typeof BUILD_TAG === 'undefined' ? 'latest' : BUILD_TAG;
