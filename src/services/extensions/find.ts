import { ComputeError } from '../../core/errors.ts';
import type { ComputeSpec, RemoteExtensions } from '../../spec/schema.ts';

/** The extension that a requested file belongs to.
 *  @param name of an extension, or of a library: text after the first `.so` does not count
 *  @throws ComputeError `not_found` */
export function findRemoteExtension(spec: RemoteExtensions, name: string, isLibrary: boolean): string {
  const extension = isLibrary ? ofLibrary(spec, libraryName(name)) : name;
  if (!isAllowed(spec, extension)) throw notFound(`extension ${extension}`);
  if (!Object.hasOwn(spec.extension_data, extension)) throw notFound(`real_ext_name ${extension}`);
  return extension;
}

export const libraryName = (name: string): string => name.split('.so', 1)[0] ?? name;

const isAllowed = (spec: RemoteExtensions, extension: string): boolean =>
  [...(spec.public_extensions ?? []), ...(spec.custom_extensions ?? [])].includes(extension);

/** Whether it can be downloaded. */
export const isRemote = (spec: RemoteExtensions, extension: string): boolean =>
  isAllowed(spec, extension) && Object.hasOwn(spec.extension_data, extension);

/** Whether a library of `shared_preload_libraries`, as the setting has it, is downloaded before Postgres starts. */
export const isToCome =
  ({ remote_extensions: spec }: ComputeSpec, { hasGateway }: { readonly hasGateway: boolean }) =>
  (item: string): boolean => {
    const library = preloadedName(item);
    if (!hasGateway || spec === null || !Object.hasOwn(spec.library_index, library)) return false;
    return isRemote(spec, spec.library_index[library]!);
  };

/** The library's name, as the index has it. */
export const preloadedName = (item: string): string =>
  libraryName(item.replaceAll('"', '').replace(/^.*\//, ''));

function ofLibrary({ library_index: index }: RemoteExtensions, library: string): string {
  const extension = Object.hasOwn(index, library) ? index[library] : undefined;
  if (extension === undefined) throw notFound(`library ${library}`);
  return extension;
}

const notFound = (what: string): ComputeError => new ComputeError('not_found', `${what} is not found`);
