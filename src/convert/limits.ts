/**
 * Limits of the readers. They are generous for real checkpoints and small enough that no file, however it is made,
 * takes more than a few hundred megabytes beyond its own size, or more than seconds.
 */

/** Largest piece of a file that is in memory at once: one tensor, or one deflated member. Files may be larger. */
export const MAX_MEMBER_BYTES = 2 ** 32;
/** Largest pickled object (names and structure, not tensor data). */
export const MAX_PICKLE_BYTES = 64 * 2 ** 20;
/** Values that one pickle may build: a checkpoint of 10,000 tensors with optimiser state needs about 400,000. */
export const MAX_PICKLE_VALUES = 3_000_000;
/** Containers and other heap objects among them. */
export const MAX_PICKLE_OBJECTS = 1_000_000;
/** Characters of text and bytes that one pickle may build. */
export const MAX_PICKLE_TEXT = 64 * 2 ** 20;
/** Bytes of one whole number written out as LONG. */
export const MAX_LONG_BYTES = 1024;
/** Characters of the text that identifies a dict key. */
export const MAX_KEY_TEXT = 65_536;
/** Depth of nested containers. */
export const MAX_DEPTH = 512;
/** Tensors of one file, counted by name. */
export const MAX_TENSORS = 200_000;
/** Characters of one joined tensor name. */
export const MAX_NAME_LENGTH = 4096;
/** Characters of all tensor names together. */
export const MAX_NAMES_TEXT = 32 * 2 ** 20;
/** Axes of a tensor (PyTorch's own limit). */
export const MAX_AXES = 64;
/** Members of a zip archive. */
export const MAX_ZIP_MEMBERS = 500_000;
/** Bytes of the directory of a zip archive. */
export const MAX_ZIP_DIRECTORY = 128 * 2 ** 20;
/** Inflated bytes allowed without regard to the ratio, for all members together. */
export const FREE_INFLATED_BYTES = 32 * 2 ** 20;
/** Inflated bytes beyond that: at most this many times the file's size (weights deflate to about 0.9 of their size). */
export const MAX_INFLATION = 20;
/** Bytes of contiguous copies of strided views: this, plus COPY_FACTOR times the bytes of the storages. */
export const FREE_COPY_BYTES = 64 * 2 ** 20;
export const COPY_FACTOR = 4;
/** Bytes of all named tensors together, views and names for the same numbers counted each: this, */
export const FREE_TENSOR_BYTES = 256 * 2 ** 20;
/** plus this many times the bytes of the storages. */
export const TENSOR_FACTOR = 64;
/** Length of a safetensors header (the format's own limit). */
export const MAX_HEADER_BYTES = 100_000_000;
/** Depth of nested JSON in that header (a valid one has depth 3). */
export const MAX_JSON_DEPTH = 16;
/** JSON values in that header. */
export const MAX_JSON_VALUES = 3_000_000;
/** Size of an ONNX file: protobuf's own limit; larger networks keep their numbers beside the file. */
export const MAX_ONNX_BYTES = 2 ** 31 - 1;
/** Bytes of an ONNX file beside the numbers of its tensors (16 MB: a graph of 100,000 nodes). */
export const MAX_ONNX_SKELETON = 32 * 2 ** 20;
/** Protobuf fields of such a file. */
export const MAX_ONNX_FIELDS = 2_000_000;
/** Depth of nested messages. */
export const MAX_ONNX_DEPTH = 24;
/** Weight files of a tfjs network. */
export const MAX_WEIGHT_FILES = 10_000;
/** Length of a tfjs network's model.json. */
export const MAX_MODEL_JSON = 128 * 2 ** 20;
/** JSON depth of it: nested layers. */
export const MAX_MODEL_DEPTH = 64;
