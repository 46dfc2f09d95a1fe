/** Small pictures of the nodes of an image's graph: concepts lit up in the photograph, regions cut out of it. */
import sharp from 'sharp';
import type { Preprocessing } from '../../../models/spec.js';
import type { ExplainImage } from '../../explanation.js';
import { lit, type Picture, photograph, spotlight } from '../../picture/canvas.js';
import { type ConceptGraph, regionBox } from './graph.js';

/** Twice the size at which they are shown. */
const SIZE = 120;

async function jpegUrl({ data, width, height }: Picture): Promise<string> {
  const bytes = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize(SIZE, SIZE, { fit: 'contain', background: '#ffffff' })
    .jpeg({ quality: 82 })
    .toBuffer();
  return `data:image/jpeg;base64,${bytes.toString('base64')}`;
}

/** A concept lit up in a photograph, as a data URL. @param values its map [height, width] of the image */
export async function conceptTile(
  image: ExplainImage,
  values: Float32Array,
  preprocessing: Preprocessing,
): Promise<string> {
  const photo = photograph(image, preprocessing, SIZE);
  const map = { height: image.height, width: image.width, values };
  return jpegUrl(lit(photo, spotlight(map, photo.width, photo.height)));
}

/** The photograph itself, as a data URL. */
export async function imageTile(image: ExplainImage, preprocessing: Preprocessing): Promise<string> {
  return jpegUrl(photograph(image, preprocessing, SIZE));
}

/** A region of the photograph, the rest faint. */
function regionPicture(photo: Picture, region: number): Picture {
  const box = regionBox(region, photo.height, photo.width);
  const light = new Float64Array(photo.width * photo.height);
  for (let y = box.top; y < box.bottom; y++)
    light.fill(1, y * photo.width + box.left, y * photo.width + box.right);
  return lit(photo, light);
}

/** Tiles of all nodes of a graph of one image, by node. @param maps of its concepts, by node */
export async function graphTiles(
  graph: ConceptGraph,
  image: ExplainImage,
  maps: ReadonlyMap<string, Float32Array>,
  preprocessing: Preprocessing,
): Promise<Map<string, string>> {
  const photo = photograph(image, preprocessing, SIZE);
  const tiles = new Map<string, string>();
  for (const node of graph.nodes) {
    const map = maps.get(node.id);
    if (map !== undefined) tiles.set(node.id, await conceptTile(image, map, preprocessing));
    if (node.kind === 'region' && node.number !== null)
      tiles.set(node.id, await jpegUrl(regionPicture(photo, node.number)));
    if (node.kind === 'class') tiles.set(node.id, await jpegUrl(photo));
  }
  return tiles;
}
