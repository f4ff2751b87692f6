/** In a file of its own, which only `up` reads. */
export { page } from 'virtual:dashboard-page';
