import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { consoleLogger } from '../../src/core/log.js';
import { showProgress } from '../../src/core/progress.js';

describe('talk on standard error', () => {
  let written: string[] = [];
  const isTerminal = process.stderr.isTTY;

  beforeEach(() => {
    written = [];
    vi.useFakeTimers({ now: 0 });
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      written.push(String(text));
      return true;
    });
  });

  afterEach(() => {
    vi.useRealTimers();
    vi.restoreAllMocks();
    process.stderr.isTTY = isTerminal;
  });

  it('off a terminal is a line now and then, with rate and time left, and one at the end', () => {
    process.stderr.isTTY = false;
    const progress = showProgress('train', 100, 'images');
    for (let i = 1; i <= 100; i++) {
      vi.advanceTimersByTime(500);
      progress.update(i, 'loss 0.1');
    }
    progress.stop();
    expect(written.length).toBe(5);
    expect(written[0]).toBe('train: 20/100 images, 2.00 images/s, 00:40 left, loss 0.1\n');
    expect(written[4]).toBe('train: 100/100 images, 2.00 images/s, 00:00 left, loss 0.1\n');
  });

  it('counts what an earlier run did as done, and not in the rate', () => {
    process.stderr.isTTY = false;
    const progress = showProgress('train', 1000, 'images');
    for (let i = 501; i <= 521; i++) {
      vi.advanceTimersByTime(500);
      progress.update(i);
    }
    progress.stop();
    expect(written).toEqual(['train: 520/1000 images, 2.00 images/s, 04:00 left\n']);
  });

  it('does not take reports that come at once for speed', () => {
    process.stderr.isTTY = false;
    const progress = showProgress('verify', 5, 'images');
    vi.advanceTimersByTime(5000);
    for (let i = 1; i <= 5; i++) progress.update(i);
    progress.stop();
    expect(written).toEqual(['verify: 5/5 images, 1.00 images/s, 00:00 left\n']);
  });

  it('is dropped when quiet, warnings excepted', () => {
    process.stderr.isTTY = false;
    const progress = showProgress('train', 10, 'images', true);
    progress.update(10);
    progress.stop();
    const log = consoleLogger(true);
    log.info('news');
    log.warn('trouble');
    expect(written).toEqual(['warning: trouble\n']);
  });

  it('is whole with information when not quiet', () => {
    consoleLogger().info('news');
    expect(written).toEqual(['news\n']);
  });

  it('on a terminal draws and ends a bar', () => {
    process.stderr.isTTY = true;
    const progress = showProgress('train', 10, 'images');
    progress.update(5, 'half');
    progress.stop();
    expect(() => progress.update(6)).not.toThrow();
  });
});
