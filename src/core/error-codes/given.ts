import type { Code } from './code.ts';

/** What is wrong with something that was given: a command line, a spec, a request. */
export const givenCodes = {
  usage: {
    exit: 2,
    http: 400,
    doc: 'The command line is wrong.',
    act: 'Correct the option that the message names; `--help` lists all of them.',
  },
  config_unreadable: {
    exit: 1,
    http: 500,
    doc: 'A config file cannot be opened or is not JSON.',
    act: 'Check that the file exists and that the OS user may read it; for JSON, look at the line and column of the message. Try again with `compute_ctl check`.',
  },
  spec_invalid: {
    exit: 1,
    http: 400,
    doc: 'The spec has valid JSON and field types, but contradicts itself or lacks a value.',
    act: 'Change the field that the message names where the spec is made; `compute_ctl check` tells whether it is accepted.',
  },
  spec_shape: {
    exit: 1,
    http: 422,
    doc: 'A field is missing, or has a wrong type or an unknown value.',
    act: 'Compare the path in the message with docs/reference/spec.md, and correct the program that writes the spec.',
  },
  connstr: {
    exit: 1,
    http: 500,
    doc: 'A connection string cannot be used.',
    act: 'The message says which one: `--connstr`, the pageserver or a safekeeper of the spec. Write it as `postgresql://user@host:port/database`.',
  },
  control_plane: {
    exit: 1,
    http: 500,
    doc: 'The control plane did not return a usable spec.',
    act: 'Check `--control-plane-uri`, the token and the id of the compute, and ask for the address in the message with curl from this machine.',
  },
  bad_request: {
    exit: 1,
    http: 400,
    doc: 'The request cannot be read.',
    act: 'Correct the request: docs/reference/http.md has the parameters and the body of each route.',
  },
  bad_token: {
    exit: 1,
    http: 401,
    doc: 'The bearer token is missing or invalid.',
    act: 'The log says why the token was refused: expired, no key of the spec fits, wrong audience. Send a new one, or give the compute the key.',
  },
  no_token: {
    exit: 1,
    http: 400,
    doc: 'The Authorization header is not a bearer token.',
    act: 'Send `Authorization: Bearer TOKEN`.',
  },
  forbidden: {
    exit: 1,
    http: 403,
    doc: 'The token is valid, but not for this compute.',
    act: 'Compare the claim `compute_id` of the token with `--compute-id`, and check whether the address is that of another compute.',
  },
  not_local: {
    exit: 1,
    http: 403,
    doc: 'The request is for another host than this machine, or a browser sent it for a page of another server.',
    act: 'Ask from this machine by `127.0.0.1` or `localhost`; from elsewhere use the external server with a token.',
  },
  payload_too_large: {
    exit: 1,
    http: 413,
    doc: 'The request body exceeds the limit.',
    act: 'Send a smaller spec, or less at once.',
  },
  unsupported_media: {
    exit: 1,
    http: 415,
    doc: "The request body's content type is not JSON.",
    act: 'Send `Content-Type: application/json`.',
  },
  wrong_status: {
    exit: 1,
    http: 412,
    doc: "The compute's status does not allow this.",
    act: 'Look at `GET /status` and wait until the status allows it; docs/reference/http.md lists the statuses of each route.',
  },
  not_allowed: {
    exit: 1,
    http: 412,
    doc: "This compute's command line or spec does not allow this.",
    act: 'Start the compute with the option, or with the spec, that the message asks for.',
  },
  conflict: {
    exit: 1,
    http: 409,
    doc: 'Something that the request requires does not exist, or two requests conflict.',
    act: 'Create or start what the message names, or wait for the other request, and try again.',
  },
  not_found: {
    exit: 1,
    http: 404,
    doc: 'The named object does not exist.',
    act: 'Check the name for its spelling and for upper and lower case.',
  },
  busy: {
    exit: 1,
    http: 429,
    doc: 'The same work is already running.',
    act: 'Wait until the running request has ended, then try again.',
  },
} as const satisfies Record<string, Code>;
