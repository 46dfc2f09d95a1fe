import { resolve } from 'node:path';
import type { Command } from 'commander';
import { cardFile } from '../../explain/concepts/gallery/cardPage.js';
import { cardText } from '../../explain/concepts/gallery/cardText.js';
import { readGallery } from '../../explain/concepts/gallery/galleryFolder.js';
import type { ConceptCard, Gallery } from '../../explain/concepts/gallery/gallerySchema.js';
import { type CliContext, runVerb, verb } from '../context.js';
import { type GalleryFlags, makeGalleryFor, parseConcepts, withGalleryOptions } from './gallery.js';

function textOf(gallery: Gallery, out: string): string {
  const one = (card: ConceptCard): string =>
    [...cardText(card, gallery), `${out}/${cardFile(card.concept)}`].join('\n');
  return gallery.concepts.map(one).join('\n\n');
}

async function run(context: CliContext, texts: readonly string[], flags: GalleryFlags): Promise<number> {
  const concepts = parseConcepts(texts);
  const out = resolve(flags.out ?? `concept-${concepts[0]}`);
  const earlier = flags.from !== undefined && flags.dataDir === undefined ? readGallery(flags.from) : null;
  const { status, gallery } = await makeGalleryFor(
    context,
    earlier === null
      ? flags
      : {
          ...flags,
          dataDir: earlier.data.path,
          perConcept: earlier.settings.perConcept,
          ...(earlier.data.split === null ? {} : { split: earlier.data.split }),
        },
    { concepts, by: 'contribution', out },
  );
  if (gallery !== null) context.print(textOf(gallery, out), gallery);
  return status;
}

/** `fact concepts card N...` */
export function registerCard(concepts: Command): void {
  withGalleryOptions(
    verb(concepts, 'card <concepts...>', 'the cards of single concepts, with the proof of their sums'),
  )
    .option('--out <folder>', 'folder of the cards (default: concept-N)')
    .action((texts: string[], _options, command: Command) =>
      runVerb(command, (context) => run(context, texts, command.optsWithGlobals<GalleryFlags>())),
    );
}
