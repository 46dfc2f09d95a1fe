import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest';
import { type Downloaded, type DownloadOptions, download } from '../../src/core/download.js';
import type { FactError } from '../../src/core/errors.js';
import { sha256 } from '../../src/core/hash.js';
import { Random } from '../../src/core/random.js';
import { BadServer, type Handler } from './badServer.js';

/** 300,000 bytes that no compression or repetition hides. */
export const CONTENT = (() => {
  const random = new Random(4);
  return Uint8Array.from({ length: 300_000 }, () => random.integer(256));
})();
export const HASH = sha256(CONTENT);

/** A server and, for each test, an empty folder; registers their hooks in the test file that calls it. */
export class DownloadCase {
  private running: BadServer | undefined;
  folder = '';

  constructor() {
    beforeAll(async () => {
      this.running = await BadServer.start();
    });
    afterAll(() => this.running?.stop());
    beforeEach(() => {
      this.folder = mkdtempSync(join(tmpdir(), 'fact-download-'));
      this.server.seen.length = 0;
    });
    afterEach(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  get server(): BadServer {
    if (this.running === undefined) throw new Error('the server runs in tests only');
    return this.running;
  }

  readonly target = (): string => join(this.folder, 'net.pth');

  readonly left = (): string[] => readdirSync(this.folder).sort();

  readonly fetchIt = (handler: Handler, options: Partial<DownloadOptions> = {}): Promise<Downloaded> => {
    this.server.handler = handler;
    return download({
      url: this.server.url('/net.pth'),
      target: this.target(),
      hashPrefix: HASH.slice(0, 10),
      pauseMs: 1,
      env: {},
      ...options,
    });
  };

  readonly failing = async (handler: Handler, options: Partial<DownloadOptions> = {}): Promise<FactError> => {
    const error = await this.fetchIt(handler, options).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).not.toBeNull();
    return error as FactError;
  };
}
