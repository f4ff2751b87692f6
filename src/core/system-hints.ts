/** What to do about an error of the operating system that says little by itself. */
const hints: Readonly<Record<string, string>> = {
  ENOSPC: 'the file system is full: free space in it, or make it larger',
  EDQUOT: "the disk quota is used up: raise it for the program's user, or free space",
  EROFS: 'the file system is mounted read-only: mount it for writing, or use another directory',
  EIO: 'the disk reports an error: look at the kernel log (dmesg)',
  EFBIG: 'the file would exceed the limit of the file system or of the user (ulimit -f): raise it',
  EMFILE: 'the process has too many open files: raise its limit (ulimit -n)',
  ENFILE: 'the machine has too many open files: raise fs.file-max, or end what holds them',
  ENOMEM: 'there is not enough memory: give the machine or the container more',
  EPERM:
    'the system does not allow it: in a container, mostly because capabilities were dropped (as root CHOWN, DAC_OVERRIDE, FOWNER, SETGID and SETUID are required); start as an ordinary user where they cannot be had',
};

/** The code of an error of the operating system, such as ENOSPC; null for other errors. */
export const systemCode = (error: unknown): string | null => {
  const { code, syscall } = error instanceof Error ? (error as NodeJS.ErrnoException) : {};
  return code !== undefined && syscall !== undefined ? code : null;
};

/** Null where the message says enough, as for connections. */
export function systemHint(error: unknown): string | null {
  const code = systemCode(error);
  // A firewall refuses connections with EACCES and EPERM.
  if (code === null || (error as NodeJS.ErrnoException).syscall === 'connect') return null;
  if (code === 'EACCES') return denied();
  return hints[code] ?? null;
}

/** Which user lacks the permission is what has to be known: started as root, the programs become another. */
function denied(): string {
  const uid = process.getuid?.() ?? 0;
  return uid === 0
    ? 'root lacks the permission, mostly because the capability DAC_OVERRIDE was dropped: give it back, or start as the owner of the file'
    : `give uid ${uid}, which this program runs as, the permission for it and for the directories above it`;
}
