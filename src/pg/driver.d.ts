/** The driver's client, without the package's main file: that one loads another client when the environment says so
 *  (`NODE_PG_FORCE_NATIVE`), and a pool that we do not use. */
declare module 'pg/lib/client.js' {
  import { Client } from 'pg';
  export default Client;
}
