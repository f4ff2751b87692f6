declare const BUILD_VERSION: string | undefined;
declare const BUILD_TAG: string | undefined;

/** The package's version, set by the build; `0.0.0` when the sources run without a build. */
export const buildVersion = typeof BUILD_VERSION === 'undefined' ? '0.0.0' : BUILD_VERSION;

/** This build's name (environment variable `BUILD_TAG` of the build), `latest` when it has none. */
export const buildTag = typeof BUILD_TAG === 'undefined' ? 'latest' : BUILD_TAG;
