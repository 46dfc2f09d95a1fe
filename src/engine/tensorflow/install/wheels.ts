/**
 * The files of Python's package index that hold libtensorflow: zip archives, of which only the libraries are unpacked.
 * Every file is named with its size and SHA-256; TensorFlow's CUDA libraries have the versions that its wheel asks for
 * (extra `and-cuda`).
 */
import { FactError } from '../../../core/errors.js';
import { TENSORFLOW_VERSION, type Variant } from '../libraryPlace.js';

export interface Wheel {
  readonly project: string;
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Bytes of the members that are unpacked. */
  readonly unpackedBytes: number;
  readonly members: RegExp;
}

const LIBRARIES = /^tensorflow\/(libtensorflow_(cc|framework)\.(so\.2|2\.dylib)|THIRD_PARTY_NOTICES\.txt)$/;
const CUDA_LIBRARIES = /^nvidia\/[^/]+\/(lib\/[^/]+\.so[^/]*|bin\/[^/]+|nvvm\/libdevice\/[^/]+)$/;

function tensorflow(
  project: string,
  tag: string,
  bytes: number,
  unpackedBytes: number,
  sha256: string,
): Wheel {
  const file = `${project.replace('-', '_')}-${TENSORFLOW_VERSION}-cp311-cp311-${tag}.whl`;
  return { project, file, bytes, sha256, unpackedBytes, members: LIBRARIES };
}

function cuda(name: string, version: string, bytes: number, unpackedBytes: number, sha256: string): Wheel {
  const project = `nvidia-${name}-cu12`;
  const file = `${project.replaceAll('-', '_')}-${version}-py3-none-manylinux2014_x86_64.whl`;
  return { project, file, bytes, sha256, unpackedBytes, members: CUDA_LIBRARIES };
}

const WHEELS: Readonly<Record<string, readonly Wheel[]>> = {
  'cpu linux x64': [
    tensorflow(
      'tensorflow-cpu',
      'manylinux_2_17_x86_64.manylinux2014_x86_64',
      230_236_181,
      683_048_157,
      '810c75d7149d2da0cb2092187817b0dcabb80728ca9f9cf3a61f3f42fadd1298',
    ),
  ],
  'cpu linux arm64': [
    tensorflow(
      'tensorflow',
      'manylinux_2_17_aarch64.manylinux2014_aarch64',
      231_937_898,
      766_705_005,
      '8a6485edd2148f70d011dbd1d8dc2c775e91774a5a159466e83d0d1f21580944',
    ),
  ],
  'cpu darwin arm64': [
    tensorflow(
      'tensorflow',
      'macosx_12_0_arm64',
      239_549_037,
      655_746_985,
      '661029cd769b311db910b79a3a6ef50a5a61ecc947172228c777a49989722508',
    ),
  ],
  'gpu linux x64': [
    tensorflow(
      'tensorflow',
      'manylinux_2_17_x86_64.manylinux2014_x86_64',
      615_510_377,
      1_252_232_957,
      'c9f87e5d2a680a4595f5dc30daf6bbaec9d4129b46d7ef1b2af63c46ac7d2828',
    ),
    cuda(
      'cublas',
      '12.5.3.2',
      363_313_169,
      551_706_504,
      'ca070ad70e9fa6654084575d01bd001f30cc4665e33d4bb9fc8e0f321caa034b',
    ),
    cuda(
      'cuda-cupti',
      '12.5.82',
      13_811_507,
      43_952_208,
      'bde77a5feb66752ec61db2adfe47f56b941842825b4c7e2068aff27c9d107953',
    ),
    cuda(
      'cuda-nvcc',
      '12.5.82',
      22_468_537,
      58_804_160,
      'b03e545b8e8c3ce7ebcd7fc44063180ff52ff01d064ece2127ed90a04ef12cd0',
    ),
    cuda(
      'cuda-nvrtc',
      '12.5.82',
      24_873_108,
      68_243_664,
      '3dbd97b0104b4bfbc3c4f8c79cd2496307c89c43c29a9f83125f1d76296ff3fd',
    ),
    cuda(
      'cuda-runtime',
      '12.5.82',
      895_707,
      712_032,
      '3e79a060e126df40fd3a068f3f787eb000fa51b251ec6cd97d09579632687115',
    ),
    cuda(
      'cudnn',
      '9.3.0.75',
      577_163_502,
      885_338_960,
      '9ad9c6929ebb5295eb4a1728024666d1c88283373e265a0c5c883e6f9d5cd76d',
    ),
    cuda(
      'cufft',
      '11.2.3.61',
      192_524_114,
      278_929_256,
      '9a6e8df162585750f61983a638104a48c756aa13f9f48e19ab079b38e3c828b8',
    ),
    cuda(
      'curand',
      '10.3.6.82',
      56_309_107,
      96_529_840,
      '2823fb27de4e44dbb22394a6adf53aa6e1b013aca0f8c22867d1cfae58405536',
    ),
    cuda(
      'cusolver',
      '11.6.3.83',
      130_341_232,
      218_141_696,
      '93cfafacde4428b71778eeb092ec615a02a3d05404da1bcf91c53e3fa1bce42b',
    ),
    cuda(
      'cusparse',
      '12.5.1.3',
      217_558_979,
      295_715_544,
      '016df8e993c437e8301e62739f01775cba988fd5253cd4c64173f8e8d2f8e752',
    ),
    cuda(
      'nccl',
      '2.21.5',
      188_654_414,
      251_616_632,
      '8579076d30a8c24988834445f8d633c697d42397e92ffc3f63fa26766d25e0a0',
    ),
    cuda(
      'nvjitlink',
      '12.5.82',
      21_298_879,
      54_560_656,
      'f9b37bc5c8cf7509665cb6ada5aaa0ce65618f2332b7d3e78e9790511f111212',
    ),
  ],
};

/** The C library that TensorFlow's wheels for Linux are built against (tag manylinux_2_17). */
const OLDEST_GLIBC = '2.17';

/** Version of the GNU C library of this process, or null (musl, macOS). */
function glibcVersion(): string | null {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return header?.glibcVersionRuntime ?? null;
}

function unsupported(what: string): FactError {
  return new FactError({
    code: 'E_ENGINE_UNSUPPORTED',
    message: `engine install: there is no libtensorflow for ${what}`,
    remedy: 'Use --engine onnx or --engine wasm, or name a folder with libtensorflow in FACT_LIBTENSORFLOW.',
  });
}

/** The files of a variant for this machine. Throws FactError E_ENGINE_UNSUPPORTED where there are none. */
export function wheelsFor(
  variant: Variant,
  platform: string = process.platform,
  arch: string = process.arch,
  glibc: string | null = platform === process.platform ? glibcVersion() : OLDEST_GLIBC,
): readonly Wheel[] {
  const found = WHEELS[`${variant} ${platform} ${arch}`];
  if (found === undefined) throw unsupported(`${platform} ${arch}${variant === 'gpu' ? ' with a GPU' : ''}`);
  if (platform === 'linux' && glibc === null) throw unsupported('systems without the GNU C library (musl)');
  return found;
}
