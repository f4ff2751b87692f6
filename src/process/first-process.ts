/** What a program has to say when it is the first process of a container, so that no init is in front of it; null: it is not.
 *  The kernel hands every orphan of the container to the first process, and libuv awaits only the children that it has started:
 *  each orphan that ends keeps its process number until the container ends.
 *  @see https://man7.org/linux/man-pages/man7/pid_namespaces.7.html */
export const saidAsFirstProcess = (program: string, pid = process.pid): string | null =>
  pid === 1
    ? `${program} is process 1, and there is no init in front of it: orphans that end stay as zombies until the container ends, each with a process number. Put an init in front: docker run --init, ENTRYPOINT ["tini", "--", "${program}"], or shareProcessNamespace: true in a pod`
    : null;
