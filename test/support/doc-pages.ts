/** The pages whose `sh` blocks run in CI. */
export const pagesWithCommands = ['README.md', 'docs/branches.md', 'docs/operating.md', 'examples/README.md'];
