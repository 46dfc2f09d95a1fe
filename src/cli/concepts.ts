import type { Command } from 'commander';
import { registerCard } from './conceptsCard.js';
import { registerClasses } from './conceptsClasses.js';
import { registerEdit } from './conceptsEdit.js';
import { registerGallery } from './conceptsGallery.js';
import { registerGraph } from './conceptsGraph.js';
import { registerVersus } from './conceptsVersus.js';

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
