/**
 * One file over http or https into one place on disk: complete and with the right hash, or not at all.
 *
 *     lock -> TARGET there with the right hash? done
 *          -> TARGET.part: GET from where it ends (Range, If-Range with the server's validator) -> append, hash
 *          -> dropped, too slow, 429, 5xx: again, from there, a few times without getting further
 *          -> ended: hash right? rename to TARGET : delete, once more from the start if it was continued, else error
 *
 * Whoever stops in between (Ctrl-C, a full disk, a network that is gone) leaves TARGET.part, from which the next call
 * goes on. Two processes that want the same file: the second waits and then finds it.
 */
import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectionError, failure, Temporary } from './downloadErrors.js';
import { FactError } from './errors.js';
import { withFileLock } from './fileLock.js';
import { sha256File } from './hash.js';
import { type HttpAnswer, httpGet, shownUrl } from './httpGet.js';
import { type Logger, silentLogger } from './log.js';
import { PartFile } from './partFile.js';
import type { ProxyEnvironment } from './proxy.js';
import { LEAST_BYTES_PER_SECOND, RateWatch } from './rateWatch.js';

export interface DownloadOptions {
  /** http or https. */
  readonly url: string;
  /** Path of the finished file; its folder is made. `TARGET.part*` and `TARGET.lock` beside it are this function's. */
  readonly target: string;
  /** SHA-256, 64 hexadecimal digits; or its first digits, at least 8. One of the two is needed, or `unchecked`. */
  readonly sha256?: string;
  readonly hashPrefix?: string;
  /**
   * No hash was published: the length must be right and a part is only continued where the server's validator says that
   * it is the same file. A finished target counts as it is; the caller checks what it holds.
   */
  readonly unchecked?: boolean;
  /** Refuse anything longer, in bytes. Default 4 GiB. */
  readonly maxBytes?: number;
  /** Sent with each request; those that sign in are not passed on to another host. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether a redirect may lead from https to http. Default false. */
  readonly allowDowngrade?: boolean;
  /** An answer must come, and in each such time at least 1 KiB a second on average. Default 30 000 ms. */
  readonly timeoutMs?: number;
  /** Attempts that get no further before it fails. Default 4. */
  readonly attempts?: number;
  /** First pause between attempts; it doubles each time. Default 500 ms. */
  readonly pauseMs?: number;
  /** Bytes that are there, and those that there will be (null: unknown). */
  readonly progress?: (doneBytes: number, totalBytes: number | null) => void;
  /** Ends it; the part stays, and the signal's reason is thrown. */
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  /** Proxies: HTTPS_PROXY and its kin. Default `process.env`. */
  readonly env?: ProxyEnvironment;
}

export interface Downloaded {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** False where the finished file was there already. */
  readonly fetched: boolean;
  /** Bytes of an earlier call that did not have to be fetched again. */
  readonly continuedFrom: number;
}

const DEFAULT_MAX_BYTES = 4 * 2 ** 30;
const DEFAULT_TIMEOUT_MS = 30_000;
const LONGEST_PAUSE_MS = 10_000;
/** Answers that may be another one soon. */
const TEMPORARY = [408, 425, 429, 500, 502, 503, 504];
/** The hash's first digits; empty where none was published. */
function expectedPrefix(options: DownloadOptions): string {
  if (options.unchecked === true && options.sha256 === undefined && options.hashPrefix === undefined)
    return '';
  const text = (options.sha256 ?? options.hashPrefix ?? '').toLowerCase();
  if (!/^[0-9a-f]{8,64}$/.test(text) || (options.sha256 !== undefined && text.length !== 64))
    throw new TypeError(`download: "${text}" is no SHA-256, nor at least 8 digits of one`);
  return text;
}

/** A validator that may be sent as If-Range: weak ETags may not. */
function validatorOf({ headers }: HttpAnswer): string | null {
  const { etag } = headers;
  if (etag?.startsWith('"')) return etag;
  return headers['last-modified'] ?? null;
}

function wholeNumber(text: string | undefined): number | null {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** `bytes 100-199/200` as numbers; null where it is nothing of the kind. */
function contentRange(text: string | undefined): { start: number; total: number | null } | null {
  const match = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(text ?? '');
  return match === null ? null : { start: Number(match[1]), total: wholeNumber(match[3]) };
}

function looksLikePage(beginning: string): boolean {
  return /^\s*<(!doctype|html|head|\?xml)/i.test(beginning);
}

/** One download under its lock. */
class Attempts {
  private readonly url: URL;
  private readonly part: PartFile;
  private readonly timeoutMs: number;
  private readonly maxBytes: number;
  private readonly log: Logger;
  private total: number | null = null;

  constructor(
    private readonly options: DownloadOptions,
    private readonly prefix: string,
  ) {
    this.url = new URL(options.url);
    this.part = new PartFile(options.target);
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
    this.log = options.log ?? silentLogger;
  }

  async run(): Promise<Downloaded> {
    const { part } = this;
    await part.open();
    try {
      if (part.bytes > this.maxBytes) await part.restart();
      const kept = part.bytes;
      if (kept > 0) this.log.info(`going on after ${kept} bytes that are there already`);
      let fresh = kept === 0;
      for (;;) {
        if (!this.matches()) await this.fetchAll();
        const sha256 = part.digest();
        if (sha256.startsWith(this.prefix)) {
          const { bytes } = part;
          await part.close();
          part.finish();
          return { path: part.target, bytes, sha256, fetched: true, continuedFrom: Math.min(kept, bytes) };
        }
        const wrong = this.hashError(sha256);
        await part.restart();
        if (fresh) {
          part.remove();
          throw wrong;
        }
        this.log.warn('what an earlier download left does not fit the rest; fetching it from the start');
        fresh = true;
      }
    } finally {
      await part.close();
    }
  }

  private matches(): boolean {
    return this.prefix !== '' && this.part.bytes > 0 && this.part.digest().startsWith(this.prefix);
  }

  private hashError(sha256: string): FactError {
    const page = looksLikePage(this.part.beginning());
    return new FactError({
      code: 'E_DOWNLOAD_HASH',
      message: `${shownUrl(this.url)}: ${page ? 'a web page came in place of the file' : 'other bytes came than were published'}: SHA-256 ${sha256.slice(0, this.prefix.length)}, expected ${this.prefix}`,
      remedy: 'Nothing was kept. Check the network for a login page, or the mirror; then try again.',
    });
  }

  /** Attempts until the server has sent the whole file. */
  private async fetchAll(): Promise<void> {
    const { signal, attempts = 4, pauseMs = 500 } = this.options;
    let furthest = this.part.bytes;
    let left = attempts;
    for (;;) {
      signal?.throwIfAborted();
      try {
        if (await this.attempt()) return;
      } catch (error) {
        if (signal?.aborted === true) throw signal.reason;
        const known = connectionError(this.url, error);
        if (!(known instanceof Temporary)) throw known;
        if (this.part.bytes > furthest) left = attempts;
        furthest = Math.max(furthest, this.part.bytes);
        if (--left <= 0) throw known.final;
        const pause = known.pauseMs ?? pauseMs * 2 ** (attempts - left - 1);
        this.log.info(`${known.message}; once more from byte ${this.part.bytes}`);
        await sleep(
          Math.min(pause, LONGEST_PAUSE_MS),
          undefined,
          signal === undefined ? {} : { signal },
        ).catch(
          () => undefined, // aborted: the loop says so
        );
      }
    }
  }

  /** One request; true when the body ended where the server said it would, false to ask again at once. */
  private async attempt(): Promise<boolean> {
    const { part } = this;
    const facts = part.facts();
    const validator = facts !== null && facts.url === shownUrl(this.url) ? facts.validator : null;
    if (this.prefix === '' && validator === null) await part.restart();
    const offset = part.bytes;
    const headers: Record<string, string> = {
      accept: 'application/octet-stream, */*',
      'accept-encoding': 'identity',
      'user-agent': 'fact-tfjs',
      ...this.options.headers,
    };
    if (offset > 0) {
      headers.range = `bytes=${offset}-`;
      if (validator !== null) headers['if-range'] = validator;
    }
    const watch = new RateWatch(this.timeoutMs, this.options.signal);
    try {
      const answer = await httpGet(this.url, {
        headers,
        allowDowngrade: this.options.allowDowngrade === true,
        signal: watch.signal,
        ...(this.options.env === undefined ? {} : { env: this.options.env }),
      });
      try {
        return await this.read(answer, offset, watch);
      } finally {
        answer.body.destroy();
      }
    } catch (error) {
      if (watch.isLate)
        throw new Temporary(
          'too slow',
          failure(
            this.url,
            `less than ${LEAST_BYTES_PER_SECOND} bytes a second came for ${this.timeoutMs} ms`,
          ),
        );
      throw error;
    } finally {
      watch.stop();
    }
  }

  private async read(answer: HttpAnswer, offset: number, watch: RateWatch): Promise<boolean> {
    const { part } = this;
    const { status, headers, body } = answer;
    if (status === 416) {
      const total = wholeNumber(/^bytes \*\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1]);
      if (offset === 0) throw failure(answer.url, 'the server refuses the request (416)');
      if (total === offset) return true;
      await part.restart();
      return false;
    }
    if (TEMPORARY.includes(status)) {
      const seconds = wholeNumber(headers['retry-after']);
      throw new Temporary(
        `the server answered ${status}`,
        failure(answer.url, `the server answered ${status}`),
        seconds === null ? null : seconds * 1000,
      );
    }
    if (status !== 200 && status !== 206)
      throw failure(
        answer.url,
        `the server answered ${status}${status === 404 || status === 410 ? ': there is no such file' : ''}`,
        'Check the name and the address or the mirror; some networks let only listed hosts through.',
      );
    const encoding = headers['content-encoding'] ?? 'identity';
    if (encoding !== 'identity') throw failure(answer.url, `it came as ${encoding}, which was not asked for`);
    if (/^(text\/html|application\/xhtml)/i.test(headers['content-type'] ?? ''))
      throw failure(
        answer.url,
        'the server sent a web page (text/html) in place of the file',
        'Check the network for a login page, and the address or the mirror.',
      );
    const length = wholeNumber(headers['content-length']);
    const range = status === 206 ? contentRange(headers['content-range']) : null;
    if (status === 206 && range?.start !== offset) {
      // Another part than the one asked for: nothing of it can be used.
      if (offset === 0)
        throw failure(answer.url, 'the server sent another part of the file than was asked for');
      await part.restart();
      throw new Temporary(
        'another part came than was asked for',
        failure(answer.url, 'its ranges are wrong'),
      );
    }
    if (status === 200 && offset > 0) await part.restart();
    const total = range === null ? length : (range.total ?? (length === null ? null : offset + length));
    if (total === null && this.prefix === '' && headers['transfer-encoding'] !== 'chunked')
      throw failure(answer.url, 'the server does not say how long the file is, and no hash of it is known');
    if (total !== null && total > this.maxBytes) throw this.tooLong(answer.url, total);
    this.total = total;
    part.note({ url: shownUrl(this.url), validator: validatorOf(answer), total });
    for await (const piece of body as AsyncIterable<Buffer>) {
      if (part.bytes + piece.length > this.maxBytes) {
        await part.restart();
        part.remove();
        throw this.tooLong(answer.url, null);
      }
      await part.append(piece);
      watch.count(piece.length);
      this.options.progress?.(part.bytes, this.total);
    }
    if (total !== null && part.bytes < total)
      throw new Temporary(
        'the connection ended early',
        failure(answer.url, `it ended after ${part.bytes} of ${total} bytes`),
      );
    return true;
  }

  private tooLong(url: URL, total: number | null): FactError {
    return failure(
      url,
      `${total === null ? 'more' : `${total} bytes came, more`} than the ${this.maxBytes} bytes that this file can have`,
      'Check the address or the mirror.',
    );
  }
}

/**
 * Fetches a file; see the top of the file. A finished target with the right hash is not fetched again, one with another
 * hash is replaced when the right one is there.
 * Throws FactError E_OFFLINE, E_DOWNLOAD, E_DOWNLOAD_HASH, E_DOWNLOAD_REDIRECT, E_PROXY, E_WRITE; the signal's reason
 * when aborted.
 */
export async function download(options: DownloadOptions): Promise<Downloaded> {
  const prefix = expectedPrefix(options);
  const { target, signal } = options;
  const log = options.log ?? silentLogger;
  return withFileLock(
    `${target}.lock`,
    async () => {
      if (existsSync(target)) {
        const sha256 = await sha256File(target);
        if (sha256.startsWith(prefix)) {
          const { size } = statSync(target);
          return { path: target, bytes: size, sha256, fetched: false, continuedFrom: 0 };
        }
        log.warn(`${target} is not the file that was published; it is fetched again`);
      }
      return new Attempts(options, prefix).run();
    },
    {
      ...(signal === undefined ? {} : { signal }),
      onWait: (holder) => log.info(`waiting: ${holder || 'another process'} is fetching ${target}`),
    },
  );
}
