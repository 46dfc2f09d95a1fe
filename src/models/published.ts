/** What is known of the published weights of B-cos-v2 (release tag v0.0.1-weights; Apache-2.0). */

export interface Published {
  /** Accuracy on the ImageNet validation set as its authors state it, in percent. */
  readonly top1: number;
  readonly top5: number;
  /** Number of trained values, counted. */
  readonly parameters: number;
  /** Name of the weight file: NAME-HASH.pth, HASH the first ten hex digits of its SHA-256. */
  readonly file: string;
}

/**
 * Terms of the published weights, in short: the repository's code is under the Apache License 2.0; the weights were made
 * from ImageNet, whose terms its README points to (non-commercial use; who uses them must see whether he may).
 */
export const WEIGHTS_LICENCE = 'ImageNet terms';

/** Published weights by the name of their network. */
export const PUBLISHED: Readonly<Record<string, Published>> = {
  resnet18: { top1: 68.736, top5: 87.43, parameters: 11693120, file: 'resnet_18-68b4160fff.pth' },
  resnet34: { top1: 72.284, top5: 90.052, parameters: 21797568, file: 'resnet_34-a63425a03e.pth' },
  resnet50: { top1: 75.882, top5: 92.064, parameters: 25538880, file: 'resnet_50-ead259efe4.pth' },
  resnet101: { top1: 76.532, top5: 92.538, parameters: 44504896, file: 'resnet_101-84c3658278.pth' },
  resnet152: { top1: 76.484, top5: 92.398, parameters: 60125504, file: 'resnet_152-42051a77c1.pth' },
  resnext50_32x4d: {
    top1: 75.82,
    top5: 91.81,
    parameters: 25003200,
    file: 'resnext_50_32x4d-57af241ab9.pth',
  },
  densenet121: { top1: 73.612, top5: 91.106, parameters: 7945440, file: 'densenet_121-b8daf96afb.pth' },
  densenet161: { top1: 76.622, top5: 92.554, parameters: 28584144, file: 'densenet_161-9e9ea51353.pth' },
  densenet169: { top1: 75.186, top5: 91.786, parameters: 14078688, file: 'densenet_169-7037ee0604.pth' },
  densenet201: { top1: 75.48, top5: 91.992, parameters: 19907808, file: 'densenet_201-00ac87066f.pth' },
  vgg11_bnu: { top1: 69.31, top5: 88.388, parameters: 132855872, file: 'vgg_11_bnu-34036029f0.pth' },
  convnext_tiny: {
    top1: 77.488,
    top5: 93.192,
    parameters: 28543392,
    file: 'convnext_tiny_pn-539b1bfb37.pth',
  },
  convnext_base: { top1: 79.65, top5: 94.614, parameters: 88466304, file: 'convnext_base_pn-b0495852c6.pth' },
  convnext_tiny_bnu: {
    top1: 76.826,
    top5: 93.09,
    parameters: 28543392,
    file: 'convnext_tiny_bnu-dbd7f5ef9d.pth',
  },
  convnext_base_bnu: {
    top1: 80.142,
    top5: 94.834,
    parameters: 88466304,
    file: 'convnext_base_bnu-7c32a704b3.pth',
  },
  densenet121_long: {
    top1: 77.302,
    top5: 93.234,
    parameters: 7945440,
    file: 'densenet_121_long-5175461597.pth',
  },
  resnet50_long: { top1: 79.468, top5: 94.452, parameters: 25538880, file: 'resnet_50_long-ef38a88533.pth' },
  resnet152_long: {
    top1: 80.144,
    top5: 94.116,
    parameters: 60125504,
    file: 'resnet_152_long-0b4b434939.pth',
  },
  simple_vit_ti_patch16_224: {
    top1: 59.96,
    top5: 81.838,
    parameters: 5800128,
    file: 'bcos_simple_vit_ti_patch16_224-4b0824b1c1.pth',
  },
  simple_vit_s_patch16_224: {
    top1: 69.246,
    top5: 88.096,
    parameters: 22217088,
    file: 'bcos_simple_vit_s_patch16_224-75e99d1f73.pth',
  },
  simple_vit_b_patch16_224: {
    top1: 74.408,
    top5: 91.156,
    parameters: 86901504,
    file: 'bcos_simple_vit_b_patch16_224-1fc4750806.pth',
  },
  simple_vit_l_patch16_224: {
    top1: 75.06,
    top5: 91.378,
    parameters: 178787328,
    file: 'bcos_simple_vit_l_patch16_224-9613b2ad0a.pth',
  },
  vitc_ti_patch1_14: {
    top1: 67.26,
    top5: 86.774,
    parameters: 5318712,
    file: 'bcos_vitc_ti_patch1_14-ddd6193a77.pth',
  },
  vitc_s_patch1_14: {
    top1: 74.504,
    top5: 91.288,
    parameters: 20878704,
    file: 'bcos_vitc_s_patch1_14-cf55c88f0c.pth',
  },
  vitc_b_patch1_14: {
    top1: 77.152,
    top5: 92.926,
    parameters: 81326016,
    file: 'bcos_vitc_b_patch1_14-a13c46397b.pth',
  },
  vitc_l_patch1_14: {
    top1: 77.782,
    top5: 92.966,
    parameters: 167444160,
    file: 'bcos_vitc_l_patch1_14-8739e18b8d.pth',
  },
  standard_simple_vit_ti_patch16_224: {
    top1: 70.23,
    top5: 89.38,
    parameters: 5670184,
    file: 'standard_simple_vit_ti_patch16_224-2ae8c65a39.pth',
  },
  standard_simple_vit_s_patch16_224: {
    top1: 74.47,
    top5: 91.226,
    parameters: 21956200,
    file: 'standard_simple_vit_s_patch16_224-f2934fcdcf.pth',
  },
  standard_simple_vit_b_patch16_224: {
    top1: 75.3,
    top5: 91.026,
    parameters: 86378728,
    file: 'standard_simple_vit_b_patch16_224-87074200ed.pth',
  },
  standard_simple_vit_l_patch16_224: {
    top1: 75.71,
    top5: 90.05,
    parameters: 178104296,
    file: 'standard_simple_vit_l_patch16_224-62dc536e03.pth',
  },
  standard_vitc_ti_patch1_14: {
    top1: 72.59,
    top5: 90.788,
    parameters: 5334952,
    file: 'standard_vitc_ti_patch1_14-a5d6bded37.pth',
  },
  standard_vitc_s_patch1_14: {
    top1: 75.756,
    top5: 91.994,
    parameters: 20910184,
    file: 'standard_vitc_s_patch1_14-34ecd7288e.pth',
  },
  standard_vitc_b_patch1_14: {
    top1: 76.79,
    top5: 92.024,
    parameters: 81388648,
    file: 'standard_vitc_b_patch1_14-4d374b0220.pth',
  },
  standard_vitc_l_patch1_14: {
    top1: 77.866,
    top5: 92.298,
    parameters: 167541352,
    file: 'standard_vitc_l_patch1_14-560e48f246.pth',
  },
};
