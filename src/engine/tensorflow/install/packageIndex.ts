/** Finds files on Python's package index, or a mirror of it, as pip would: its settings decide which one. */
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FactError, messageOf, systemCodeOf } from '../../../core/errors.js';
import { httpGet, shownUrl } from '../../../core/httpGet.js';

type Environment = Readonly<Record<string, string | undefined>>;

/** pip's own default. */
const DEFAULT_INDEX = 'https://pypi.org/simple';

/** PEP 691's JSON, else PEP 503's HTML. */
const ACCEPT = 'application/vnd.pypi.simple.v1+json, text/html;q=0.1';
const PAGE_TIMEOUT_MS = 30_000;
/** The longest page of a project seen is 3 MB. */
const MAX_PAGE_BYTES = 64 * 2 ** 20;

/** Where a file of the index can be fetched. */
export interface IndexedFile {
  readonly url: string;
  /** Signs in at the index's own host, where its address holds a name and a password. */
  readonly headers: Readonly<Record<string, string>>;
}

function configFiles(env: Environment): string[] {
  const named = env.PIP_CONFIG_FILE;
  const folder = env.XDG_CONFIG_HOME ?? join(homedir(), '.config');
  return [
    ...(named === undefined || named === '' ? [] : [named]),
    join(folder, 'pip', 'pip.conf'),
    join(homedir(), 'Library', 'Application Support', 'pip', 'pip.conf'),
    join(homedir(), '.pip', 'pip.conf'),
    '/etc/pip.conf',
  ];
}

/** `index-url` of the first of pip's files that has one; a file that cannot be read has none. */
function configuredIndex(env: Environment): string | undefined {
  for (const path of configFiles(env)) {
    let text: string;
    try {
      text = readFileSync(path, 'utf8');
    } catch (error) {
      if (systemCodeOf(error) === undefined) throw error;
      continue;
    }
    const url = /^\s*index[-_]url\s*[=:]\s*(\S+)\s*$/m.exec(text)?.[1];
    if (url !== undefined) return url;
  }
  return undefined;
}

/** The index in use: PIP_INDEX_URL, else pip's configuration, else pip's default. Throws FactError E_ENGINE_INSTALL. */
export function indexUrl(env: Environment = process.env): URL {
  const text = env.PIP_INDEX_URL || configuredIndex(env) || DEFAULT_INDEX;
  try {
    const url = new URL(text);
    if (url.protocol === 'https:' || url.protocol === 'http:') return url;
  } catch {
    // said below
  }
  throw new FactError({
    code: 'E_ENGINE_INSTALL',
    message:
      'engine install: the address of the package index (PIP_INDEX_URL or index-url of pip.conf) is no http address',
    remedy: 'Correct it, or unset it to use the public index.',
  });
}

function signIn(url: URL): Record<string, string> {
  if (url.username === '') return {};
  const text = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return { authorization: `Basic ${Buffer.from(text).toString('base64')}` };
}

/** The address of a file on a project's page, JSON or HTML. */
function addressIn(page: string, isJson: boolean, file: string): string | undefined {
  if (isJson) {
    const { files } = JSON.parse(page) as { files?: { filename?: string; url?: string }[] };
    return files?.find(({ filename }) => filename === file)?.url;
  }
  const escaped = file.replace(/[.+]/g, '\\$&');
  const match = new RegExp(`<a\\s[^>]*href\\s*=\\s*(["'])([^"']*)\\1[^>]*>\\s*${escaped}\\s*</a>`, 'i').exec(
    page,
  );
  return match?.[2].replaceAll('&amp;', '&');
}

async function readPage(
  url: URL,
  env: Environment,
  signal: AbortSignal | undefined,
): Promise<{ page: string; isJson: boolean; url: URL }> {
  const limit = AbortSignal.timeout(PAGE_TIMEOUT_MS);
  const headers = {
    accept: ACCEPT,
    'accept-encoding': 'identity',
    'user-agent': 'fact-tfjs',
    ...signIn(url),
  };
  const answer = await httpGet(url, {
    headers,
    allowDowngrade: false,
    signal: signal === undefined ? limit : AbortSignal.any([limit, signal]),
    env,
  });
  try {
    if (answer.status !== 200) throw new Error(`it answered ${answer.status}`);
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of answer.body as AsyncIterable<Buffer>) {
      bytes += piece.length;
      if (bytes > MAX_PAGE_BYTES) throw new Error('its page is too long');
      pieces.push(piece);
    }
    const isJson = /json/.test(answer.headers['content-type'] ?? '');
    return { page: Buffer.concat(pieces).toString('utf8'), isJson, url: answer.url };
  } finally {
    answer.body.destroy();
  }
}

/**
 * Where a project's file lies. Throws FactError E_ENGINE_INSTALL where the index cannot be reached or has no such file,
 * E_PROXY, E_DOWNLOAD_REDIRECT; the reason of an aborted signal.
 */
export async function findFile(
  project: string,
  file: string,
  options: { readonly env?: Environment; readonly signal?: AbortSignal } = {},
): Promise<IndexedFile> {
  const env = options.env ?? process.env;
  const index = indexUrl(env);
  const base = new URL(index.href.endsWith('/') ? index : `${index.href}/`);
  const pageOf = new URL(`${project}/`, base);
  let found: string | undefined;
  let pageUrl: URL;
  try {
    const read = await readPage(pageOf, env, options.signal);
    pageUrl = read.url;
    found = addressIn(read.page, read.isJson, file);
  } catch (error) {
    if (options.signal?.aborted === true) throw options.signal.reason;
    if (error instanceof FactError) throw error;
    throw new FactError({
      code: 'E_ENGINE_INSTALL',
      message: `engine install: the package index ${shownUrl(pageOf)}: ${messageOf(error) || systemCodeOf(error)}`,
      remedy: 'Check the network; behind a proxy set HTTPS_PROXY, for a mirror of the index PIP_INDEX_URL.',
      cause: error,
    });
  }
  if (found === undefined)
    throw new FactError({
      code: 'E_ENGINE_INSTALL',
      message: `engine install: the package index ${shownUrl(pageOf)} has no file ${file}`,
      remedy: 'Name an index that has it in PIP_INDEX_URL, or unset it to use the public one.',
    });
  const url = new URL(found, pageUrl);
  [url.hash, url.username, url.password] = ['', '', ''];
  return { url: url.href, headers: url.host === base.host ? signIn(base) : {} };
}
