/** `ended`: there is no `up` any more. `closed`: there may be one. */
export type Link = 'connecting' | 'live' | 'lost' | 'closed' | 'ended';

/** What everything together is, as far as this page can know.
 *  @param isSilent nothing has come for a while */
export function overallOf(link: Link, isSilent: boolean, state: string): string {
  if (link === 'ended') return 'not running';
  return link === 'closed' || isSilent ? 'not known' : state.replaceAll('_', ' ');
}
