import { request as httpRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { FactError, messageOf } from './errors.js';

/** Variables of the environment that name proxies: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY, or in lower case. */
export type ProxyEnvironment = Readonly<Record<string, string | undefined>>;

function read(env: ProxyEnvironment, name: string): string | undefined {
  return [env[name.toLowerCase()], env[name]].map((value) => value?.trim()).find((value) => value);
}

/** True where NO_PROXY exempts a host: `*`, a name, `.suffix` or `suffix`, each with an optional `:port`. */
function isExempt(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return list.split(/[\s,]+/).some((entry) => {
    if (entry === '*') return true;
    const match = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(entry.toLowerCase());
    const name = (match === null ? entry.toLowerCase() : match[1])
      .replace(/^\[|\]$/g, '')
      .replace(/^\*?\./, '');
    if (name === '' || (match?.[2] !== undefined && match[2] !== port)) return false;
    return host === name || host.endsWith(`.${name}`);
  });
}

/**
 * The proxy for a URL by the environment's conventions, or null. Throws FactError E_PROXY where the variable is no
 * http(s) URL.
 */
export function proxyFor(url: URL, env: ProxyEnvironment = process.env): URL | null {
  const exempt = read(env, 'NO_PROXY');
  if (exempt !== undefined && isExempt(url, exempt)) return null;
  const name = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  const text = read(env, name) ?? read(env, 'ALL_PROXY');
  if (text === undefined) return null;
  const wrong = (): FactError =>
    new FactError({
      code: 'E_PROXY',
      message: `the environment's ${name} (or ALL_PROXY) is not the address of an http or https proxy`,
      remedy: `Set it to something like http://proxy.example:3128, or name this host in NO_PROXY.`,
    });
  let proxy: URL;
  try {
    proxy = new URL(text.includes('://') ? text : `http://${text}`);
  } catch {
    throw wrong();
  }
  if (proxy.protocol !== 'http:' && proxy.protocol !== 'https:') throw wrong();
  return proxy;
}

/** The header that signs in at a proxy whose URL holds a name and a password. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const text = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(text).toString('base64')}` };
}

/** Host and port of a proxy, without its password: what a message may show. */
export function proxyName(proxy: URL): string {
  return `${proxy.protocol}//${proxy.host}`;
}

/** Opens a tunnel to `host:port` through a proxy (HTTP CONNECT). Throws FactError E_PROXY, or the system's error. */
export function openTunnel(proxy: URL, host: string, port: number, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
    const proxyPort = proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : Number(proxy.port);
    const proxyHost = proxy.hostname.replace(/^\[|\]$/g, '');
    const request = httpRequest({
      method: 'CONNECT',
      host: proxyHost,
      port: proxyPort,
      path: authority,
      headers: { host: authority, ...proxyAuthorization(proxy) },
      signal,
      ...(proxy.protocol === 'https:'
        ? { createConnection: () => tlsConnect({ host: proxyHost, port: proxyPort, servername: proxyHost }) }
        : { agent: false }),
    });
    const refuse = (what: string): void =>
      reject(
        new FactError({
          code: 'E_PROXY',
          message: `the proxy ${proxyName(proxy)} does not connect to ${authority}: ${what}`,
          remedy:
            'Check HTTPS_PROXY (with name and password where it asks for them), or name the host in NO_PROXY.',
        }),
      );
    request.once('connect', (response: IncomingMessage, socket: Socket, head: Buffer) => {
      if (response.statusCode !== 200) {
        socket.destroy();
        refuse(`it answered ${response.statusCode} ${response.statusMessage ?? ''}`.trim());
        return;
      }
      if (head.length > 0) socket.unshift(head);
      resolve(socket);
    });
    request.once('response', (response: IncomingMessage) => {
      response.destroy();
      refuse(`it answered ${response.statusCode} ${response.statusMessage ?? ''}`.trim());
    });
    request.once('error', (error) => (signal.aborted ? reject(error) : refuse(messageOf(error))));
    request.end();
  });
}
