import { FactError, messageOf, systemCodeOf } from './errors.js';
import { shownUrl } from './httpGet.js';

/** Errors of the system that mean: no network, or not this host. */
const OFFLINE = [
  'ENOTFOUND',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ECONNREFUSED',
  'ENONET',
];

/** A failure of a download that may pass: the attempt is made again. */
export class Temporary extends Error {
  constructor(
    message: string,
    readonly final: FactError,
    readonly pauseMs: number | null = null,
  ) {
    super(message);
  }
}

/** E_DOWNLOAD at an address. */
export function failure(url: URL, what: string, remedy?: string, cause?: unknown): FactError {
  return new FactError({
    code: 'E_DOWNLOAD',
    message: `${shownUrl(url)}: ${what}`,
    remedy: remedy ?? 'Try again later: what was fetched so far is kept and is not fetched again.',
    cause,
  });
}

function offline(url: URL, error: unknown): FactError {
  return new FactError({
    code: 'E_OFFLINE',
    message: `${url.host} cannot be reached: ${messageOf(error) || systemCodeOf(error)}`,
    remedy: 'Check the network; behind a proxy set HTTPS_PROXY. What was fetched so far is kept.',
    cause: error,
  });
}

/** An error of the connection as one of ours. */
export function connectionError(url: URL, error: unknown): Error {
  if (error instanceof FactError || error instanceof Temporary) return error;
  const code = systemCodeOf(error) ?? '';
  if (OFFLINE.includes(code)) return new Temporary(code, offline(url, error));
  if (/CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS/.test(code))
    return failure(
      url,
      `its certificate is not trusted (${code})`,
      'Where a proxy of your organisation signs connections, name its certificate in NODE_EXTRA_CA_CERTS.',
      error,
    );
  return new Temporary(
    messageOf(error),
    failure(url, `the connection broke (${messageOf(error)})`, undefined, error),
  );
}
