// What `scripts/docs.mjs` uses.
export { isChecked, wrongFacts } from './check/facts.ts';
export { readRepository } from './check/repository.ts';
export { pages } from './pages.ts';
