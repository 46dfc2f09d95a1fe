import type { Command } from 'commander';

/** `fact concepts`: what the concepts of an autoencoder are, over a whole data set. */
export function register(program: Command): void {
  program.command('concepts').description('concepts over a whole data set');
}
