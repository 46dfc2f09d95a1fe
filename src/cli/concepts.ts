import type { Command } from 'commander';
import { registerCard } from './concepts/card.js';
import { registerClasses } from './concepts/classes.js';
import { registerEdit } from './concepts/edit.js';
import { registerGallery } from './concepts/gallery.js';
import { registerGraph } from './concepts/graph.js';
import { registerVersus } from './concepts/versus.js';

/** `fact concepts`: what the concepts of an autoencoder are, over a whole data set. */
export function register(program: Command): void {
  const concepts = program
    .command('concepts')
    .description('what the concepts of an autoencoder are, over a whole data set');
  registerGallery(concepts);
  registerCard(concepts);
  registerClasses(concepts);
  registerGraph(concepts);
  registerVersus(concepts);
  registerEdit(concepts);
}
