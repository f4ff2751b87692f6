/** In a file of its own, which is read when somebody opens the page. */
export { page } from 'virtual:dashboard-page';
