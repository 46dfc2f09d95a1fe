export { type ZooEntry, type ZooSae, zooEntries, zooEntry, zooSaes } from './catalogue.js';
export { IMAGENET_CLASSES } from './imagenetClasses.js';
export { convertZooNetwork, downloadNetwork, obtainNetwork, obtainSae } from './network.js';
export { type Obtained, type ObtainOptions, obtain, type PublishedFile } from './obtain.js';
export { zooCacheFolder } from './places.js';
