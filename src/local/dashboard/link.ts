import { createHmac } from 'node:crypto';
import { Secret } from '../../core/secret.ts';
import type { LocalState } from '../state.ts';

/** What the command `dashboard` shows to a running `up` to get a link. Only who may read local.json knows it. */
export const linkSecret = ({ controlPlaneToken }: LocalState): Secret =>
  new Secret(createHmac('sha256', controlPlaneToken).update('link to the dashboard').digest('base64url'));

export const linksPath = '/links';

/** Where the page of another directory asks for this compute's sleep. */
export const sleepPath = '/sleep';

/** @param port where the dashboard listens */
export const linkUrl = (port: number, token: string): string => `http://127.0.0.1:${port}/?token=${token}`;
