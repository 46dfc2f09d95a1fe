import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { FactError } from './errors.js';
import { openTunnel, type ProxyEnvironment, proxyAuthorization, proxyFor } from './proxy.js';

/** Redirects that are followed; a release's file needs one or two. */
export const MAX_REDIRECTS = 5;

const REDIRECTS = [301, 302, 303, 307, 308];

export interface HttpGetOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** Whether a redirect may lead from https to http. */
  readonly allowDowngrade: boolean;
  readonly signal: AbortSignal;
  readonly env?: ProxyEnvironment;
}

/** An answer whose body is still to be read; destroy it or read it to the end. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: IncomingMessage;
  /** After redirects. */
  readonly url: URL;
}

/** A URL as messages show it: without a password, and without a query, which may hold a signature. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function redirectError(from: URL, what: string): FactError {
  return new FactError({
    code: 'E_DOWNLOAD_REDIRECT',
    message: `${shownUrl(from)}: ${what}`,
    remedy:
      'Check the address or the mirror; a file is only fetched over the kind of connection that was asked for.',
  });
}

/**
 * Where a redirect leads. Throws FactError E_DOWNLOAD_REDIRECT for a missing or wrong address, another scheme than http
 * and https, and the step from https to http unless it is allowed.
 */
export function redirectTarget(from: URL, location: string | undefined, allowDowngrade: boolean): URL {
  if (location === undefined) throw redirectError(from, 'it redirects without saying where to');
  let to: URL;
  try {
    to = new URL(location, from);
  } catch {
    throw redirectError(from, 'it redirects to something that is not an address');
  }
  if (to.protocol !== 'https:' && to.protocol !== 'http:')
    throw redirectError(from, `it redirects to a ${to.protocol} address`);
  if (from.protocol === 'https:' && to.protocol === 'http:' && !allowDowngrade)
    throw redirectError(from, `it redirects from https to plain http (${shownUrl(to)}), which is refused`);
  return to;
}

/** One GET, directly or through the environment's proxy; resolves when the header of the answer is there. */
async function getOnce(
  url: URL,
  headers: Readonly<Record<string, string>>,
  { signal, env }: HttpGetOptions,
): Promise<IncomingMessage> {
  const isHttps = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (isHttps ? 443 : 80) : Number(url.port);
  const path = `${url.pathname}${url.search}`;
  const proxy = proxyFor(url, env);
  const base = { method: 'GET', signal };
  const own = { ...headers, host: url.host };
  const tunnel = isHttps && proxy !== null ? await openTunnel(proxy, host, port, signal) : null;
  return new Promise((resolve, reject) => {
    const request = isHttps
      ? httpsRequest({
          ...base,
          host,
          port,
          path,
          headers: own,
          ...(tunnel === null
            ? { agent: false }
            : {
                // Node asks for no agent at all here: with `agent: false` it would not call this.
                createConnection: () =>
                  tlsConnect({ socket: tunnel, host, ...(isIP(host) === 0 ? { servername: host } : {}) }),
              }),
        })
      : proxy === null
        ? httpRequest({ ...base, agent: false, host, port, path, headers: own })
        : httpRequest({
            ...base,
            agent: false,
            host: proxy.hostname.replace(/^\[|\]$/g, ''),
            port: proxy.port === '' ? 80 : Number(proxy.port),
            path: `${url.protocol}//${url.host}${path}`,
            headers: { ...own, ...proxyAuthorization(proxy) },
          });
    request.once('response', resolve);
    request.once('error', (error) => {
      tunnel?.destroy();
      reject(error);
    });
    request.end();
  });
}

/**
 * GET of an http or https URL: redirects are followed (at most `MAX_REDIRECTS`), proxies of the environment used.
 * Headers of the caller that sign in (`authorization`, `cookie`) are not passed on to another host.
 * Throws FactError E_DOWNLOAD_REDIRECT, E_PROXY, and the system's errors of the connection.
 */
export async function httpGet(start: URL, options: HttpGetOptions): Promise<HttpAnswer> {
  let url = start;
  let headers = options.headers;
  for (let step = 0; ; step++) {
    const body = await getOnce(url, headers, options);
    const status = body.statusCode ?? 0;
    if (!REDIRECTS.includes(status)) return { status, headers: body.headers, body, url };
    body.destroy();
    if (step === MAX_REDIRECTS) throw redirectError(start, `it redirects more than ${MAX_REDIRECTS} times`);
    const next = redirectTarget(url, body.headers.location, options.allowDowngrade);
    if (next.host !== url.host)
      headers = Object.fromEntries(
        Object.entries(headers).filter(([name]) => !['authorization', 'cookie'].includes(name.toLowerCase())),
      );
    url = next;
  }
}
