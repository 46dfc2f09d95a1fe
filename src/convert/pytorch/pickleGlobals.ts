import { quoted } from '../checkpointError.js';
import { DTYPES, type DType } from '../dtypes.js';
import { MAX_KEY_TEXT } from '../limits.js';
import type { PickleSite } from './pickleContext.js';
import { keyText } from './pickleKey.js';
import {
  numpyArray,
  numpyDType,
  numpyScalar,
  setNumpyArrayState,
  setNumpyDTypeState,
} from './pickleNumpy.js';
import { kindOf, type PickleValue, type PyDict, type PyTensor } from './pickleValues.js';
import { viewOfStorage } from './tensorView.js';

type Call = (site: PickleSite, args: readonly PickleValue[]) => PickleValue;

/** An allowed Python name: what a call of it builds, or null for a name that is a value only. */
interface AllowedGlobal {
  readonly call: Call | null;
}

function corrupt(site: PickleSite, what: string): Error {
  return site.errors.fault('corrupt', site.where, what);
}

function argument(site: PickleSite, args: readonly PickleValue[], index: number): PickleValue {
  if (index >= args.length) throw corrupt(site, `a call with ${args.length} arguments, more are needed`);
  return args[index];
}

function view(
  site: PickleSite,
  storage: PickleValue,
  dtype: DType | null,
  offset: PickleValue,
  shape: PickleValue,
  stride: PickleValue,
): PyTensor {
  const tensor = viewOfStorage(site.errors, site.where, storage, dtype, offset, shape, stride);
  site.charge(2 * tensor.shape.length, 0);
  return tensor;
}

/** `_rebuild_tensor(storage, offset, size, stride)` and `_v2(..., requires_grad, hooks, metadata)`. */
const rebuildTensor: Call = (site, args) => {
  const [storage, offset, shape, stride] = [0, 1, 2, 3].map((i) => argument(site, args, i));
  return view(site, storage, null, offset, shape, stride);
};

/** `_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata)`. */
const rebuildTensorV3: Call = (site, args) => {
  const [storage, offset, shape, stride] = [0, 1, 2, 3].map((i) => argument(site, args, i));
  const dtype = argument(site, args, 6);
  if (dtype === null || typeof dtype !== 'object' || dtype.kind !== 'dtype')
    throw corrupt(site, `a ${kindOf(dtype)} in place of a dtype`);
  return view(site, storage, dtype.dtype, offset, shape, stride);
};

/** `_rebuild_parameter(data, requires_grad, hooks)`; `_with_state` has a fourth argument, which is dropped. */
const rebuildParameter: Call = (site, args): PyTensor => {
  const data = argument(site, args, 0);
  if (data === null || typeof data !== 'object' || data.kind !== 'tensor')
    throw corrupt(site, `a parameter is built from a ${kindOf(data)}`);
  return { ...data, isParameter: true };
};

/** `_rebuild_from_type_v2(function, type, arguments, state)`: a tensor that carries Python attributes; they are dropped. */
const rebuildFromType: Call = (site, args) => {
  const inner = argument(site, args, 2);
  if (inner === null || typeof inner !== 'object' || inner.kind !== 'tuple')
    throw corrupt(site, 'arguments that are not a tuple');
  const builder = argument(site, args, 0);
  if (
    builder !== null &&
    typeof builder === 'object' &&
    builder.kind === 'global' &&
    ALLOWED.get(builder.name)?.call === rebuildFromType
  )
    throw corrupt(site, 'a rebuild function that rebuilds itself');
  const built = call(site, builder, inner.items, false);
  if (built === null || typeof built !== 'object' || (built.kind !== 'tensor' && built.kind !== 'opaque'))
    throw corrupt(site, `a tensor is built from a ${kindOf(built)}`);
  return built;
};

function newDict(site: PickleSite, args: readonly PickleValue[]): PyDict {
  const dict: PyDict = { kind: 'dict', entries: new Map() };
  if (args.length === 0) return dict;
  const source = args[0];
  const pairs: (readonly [PickleValue, PickleValue])[] = [];
  if (source !== null && typeof source === 'object' && source.kind === 'dict') {
    site.charge(source.entries.size, 0);
    for (const pair of source.entries.values()) pairs.push(pair);
  } else {
    for (const item of sequence(site, source)) {
      const pair = sequence(site, item);
      if (pair.length !== 2) throw corrupt(site, 'a dict is built from something that is not pairs');
      pairs.push([pair[0], pair[1]]);
    }
  }
  for (const [key, value] of pairs) {
    const text = keyText(key, MAX_KEY_TEXT);
    if (text === null) throw corrupt(site, `a ${kindOf(key)} cannot be a key`);
    site.charge(2, text.length);
    dict.entries.set(text, [key, value]);
  }
  return dict;
}

function sequence(site: PickleSite, value: PickleValue): readonly PickleValue[] {
  if (value !== null && typeof value === 'object') {
    const size =
      value.kind === 'set'
        ? value.entries.size
        : value.kind === 'list' || value.kind === 'tuple'
          ? value.items.length
          : 0;
    site.charge(size, 0);
    if (value.kind === 'list' || value.kind === 'tuple') return value.items;
    if (value.kind === 'set') return [...value.entries.values()];
  }
  throw corrupt(site, `a ${kindOf(value)} in place of a list or tuple`);
}

const newSet: Call = (site, args) => {
  const entries = new Map<string, PickleValue>();
  for (const item of args.length === 0 ? [] : sequence(site, args[0])) {
    const text = keyText(item, MAX_KEY_TEXT);
    if (text === null) throw corrupt(site, `a ${kindOf(item)} cannot be in a set`);
    site.charge(2, text.length);
    entries.set(text, item);
  }
  return { kind: 'set', entries };
};

/** `_codecs.encode(text, 'latin1')`: how protocol 2 writes bytes. */
const encodeLatin1: Call = (site, args) => {
  const [text, encoding] = [argument(site, args, 0), argument(site, args, 1)];
  if (typeof text !== 'string' || (encoding !== 'latin1' && encoding !== 'latin-1'))
    throw corrupt(site, 'bytes that are not written as latin-1 text');
  site.charge(0, text.length);
  const data = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) throw corrupt(site, 'bytes above 255');
    data[i] = code;
  }
  return { kind: 'bytes', data };
};

/** `bytes()`, `bytearray(b'...')`, `bytearray('text', 'latin-1')`. */
const newBytes: Call = (site, args) => {
  if (args.length === 0) return { kind: 'bytes', data: new Uint8Array(0) };
  if (args.length === 2) return encodeLatin1(site, args);
  const [value] = args;
  if (value === null || typeof value !== 'object' || value.kind !== 'bytes')
    throw corrupt(site, `bytes are built from a ${kindOf(value)}`);
  return { kind: 'bytes', data: value.data };
};

const asTuple: Call = (site, args) => ({
  kind: 'tuple',
  items: args.length === 0 ? [] : [...sequence(site, args[0])],
});
const asList: Call = (site, args) => ({
  kind: 'list',
  items: args.length === 0 ? [] : [...sequence(site, args[0])],
});
const opaque =
  (className: string): Call =>
  () => ({ kind: 'opaque', className });
const refusedTensor =
  (what: string): Call =>
  () => ({ kind: 'opaque', className: 'torch.Tensor', refuse: what });

/** The allow-list. A `Map`, so that no name of a file can meet a property of an object. */
const ALLOWED = new Map<string, AllowedGlobal>();
function allow(module: string, name: string, builder: Call | null): void {
  ALLOWED.set(`${module} ${name}`, { call: builder });
}

allow('torch._utils', '_rebuild_tensor', rebuildTensor);
allow('torch._utils', '_rebuild_tensor_v2', rebuildTensor);
allow('torch._utils', '_rebuild_tensor_v3', rebuildTensorV3);
allow('torch._utils', '_rebuild_parameter', rebuildParameter);
allow('torch._utils', '_rebuild_parameter_with_state', rebuildParameter);
allow('torch._tensor', '_rebuild_from_type_v2', rebuildFromType);
allow('torch', 'Tensor', null);
allow('torch._tensor', 'Tensor', null);
allow('torch.nn.parameter', 'Parameter', null);
allow('torch._utils', '_rebuild_sparse_tensor', refusedTensor('sparse'));
allow('torch._utils', '_rebuild_sparse_csr_tensor', refusedTensor('sparse'));
allow('torch._utils', '_rebuild_nested_tensor', refusedTensor('nested'));
allow('torch._utils', '_rebuild_meta_tensor_no_storage', refusedTensor('meta (without data)'));
allow('torch.serialization', '_get_layout', opaque('torch.layout'));
allow('torch', 'Size', asTuple);
allow('torch', 'device', opaque('torch.device'));
for (const facts of DTYPES) {
  allow('torch', facts.name, null);
  if (facts.storage !== null) allow('torch', facts.storage, null);
}
allow('torch.storage', 'UntypedStorage', null);
allow('torch', 'UntypedStorage', null);
for (const builtins of ['builtins', '__builtin__']) {
  allow(builtins, 'set', newSet);
  allow(builtins, 'frozenset', newSet);
  allow(builtins, 'bytes', newBytes);
  allow(builtins, 'bytearray', newBytes);
  for (const type of ['list', 'dict', 'tuple', 'int', 'float', 'str', 'bool']) allow(builtins, type, null);
}
allow('_codecs', 'encode', encodeLatin1);
allow('collections', 'OrderedDict', newDict);
allow('collections', 'Counter', newDict);
// The default factory of a defaultdict is dropped: nothing is ever called for a missing key.
allow('collections', 'defaultdict', (site, args) => newDict(site, args.slice(1)));
allow('collections', 'deque', asList);
for (const numpy of ['numpy.core', 'numpy._core']) {
  allow(`${numpy}.multiarray`, 'scalar', (site, args) => numpyScalar((what) => corrupt(site, what), args));
  allow(`${numpy}.multiarray`, '_reconstruct', () => numpyArray());
}
allow('numpy', 'ndarray', null);
allow('numpy', 'dtype', (site, args) => {
  const dtype = numpyDType(args);
  if (dtype !== null) return dtype;
  throw site.errors.fault('unsupported', site.where, `a numpy array of ${quoted(String(args[0]))}`);
});
// Plain data holders that training scripts save beside the weights: their content is dropped.
for (const [module, name] of [
  ['argparse', 'Namespace'],
  ['datetime', 'date'],
  ['datetime', 'datetime'],
  ['datetime', 'timedelta'],
  ['pathlib', 'Path'],
  ['pathlib', 'PosixPath'],
  ['pathlib', 'WindowsPath'],
  ['pathlib', 'PurePosixPath'],
  ['pathlib', 'PureWindowsPath'],
])
  allow(module, name, opaque(`${module}.${name}`));

const QUANTISED = /^(QInt8|QInt32|QUInt8|QUInt4x2|QUInt2x4)Storage$/;
const DTYPE_BY_GLOBAL = new Map<string, DType>(DTYPES.map((facts) => [`torch.${facts.name}`, facts.name]));
const STORAGES = new Map<string, DType | null>([
  ['torch.storage.UntypedStorage', null],
  ['torch.UntypedStorage', null],
]);
for (const facts of DTYPES) if (facts.storage !== null) STORAGES.set(`torch.${facts.storage}`, facts.name);

/** A Python name of the allow-list as a value. Throws unsafe for any other name, unsupported for quantised tensors. */
export function findGlobal(site: PickleSite, module: string, name: string): PickleValue {
  const { errors, where } = site;
  const full = `${module}.${name}`;
  if (module === 'torch' && QUANTISED.test(name))
    throw errors.fault('unsupported', where, `a quantised tensor (${full})`);
  if (module === 'torch._utils' && name === '_rebuild_qtensor')
    throw errors.fault('unsupported', where, 'a quantised tensor');
  if (!ALLOWED.has(`${module} ${name}`))
    throw errors.fault(
      'unsafe',
      where,
      `it refers to ${quoted(full)}, which is not on the list of allowed names`,
    );
  const dtype = DTYPE_BY_GLOBAL.get(full);
  return dtype === undefined ? { kind: 'global', name: `${module} ${name}` } : { kind: 'dtype', dtype };
}

/** Element type of a storage class, null for untyped bytes, undefined for a value that is no storage class. */
export function storageDType(value: PickleValue): DType | null | undefined {
  if (value === null || typeof value !== 'object' || value.kind !== 'global') return undefined;
  return STORAGES.get(value.name.replace(' ', '.'));
}

/** REDUCE and NEWOBJ: builds what the allow-list says for this name. Throws unsafe for a name that may not be called. */
export function call(
  site: PickleSite,
  callable: PickleValue,
  args: readonly PickleValue[],
  isNew: boolean,
): PickleValue {
  const { errors, where } = site;
  if (callable === null || typeof callable !== 'object' || callable.kind !== 'global')
    throw errors.fault('corrupt', where, `a ${kindOf(callable)} is called`);
  const builder = ALLOWED.get(callable.name)?.call ?? null;
  if (builder === null)
    throw errors.fault(
      'unsafe',
      where,
      `it calls ${quoted(callable.name.replace(' ', '.'))}, which may only be named`,
    );
  if (isNew) {
    // `cls.__new__(cls)`: only empty containers and opaque holders are made this way.
    const made = args.length === 0 ? builder(site, []) : null;
    if (made !== null && typeof made === 'object' && ['dict', 'list', 'set', 'opaque'].includes(made.kind))
      return made;
    throw errors.fault('unsafe', where, `NEWOBJ of ${quoted(callable.name.replace(' ', '.'))}`);
  }
  return builder(site, args);
}

/** BUILD: the attributes of an OrderedDict (`_metadata`) and of opaque holders are dropped, numpy objects take their state. */
export function build(site: PickleSite, target: PickleValue, state: PickleValue): void {
  const fail = (what: string): Error => corrupt(site, what);
  if (target !== null && typeof target === 'object') {
    if (target.kind === 'opaque') return;
    if (target.kind === 'numpyDType') {
      setNumpyDTypeState(fail, target, state);
      return;
    }
    if (target.kind === 'ndarray' && !target.isScalar) {
      setNumpyArrayState(fail, target, state);
      site.charge(target.shape.length, target.bytes.length);
      return;
    }
    const isPlainState = state !== null && typeof state === 'object' && state.kind === 'dict';
    if (target.kind === 'dict' && isPlainState) return;
  }
  throw site.errors.fault('unsafe', site.where, `BUILD would set the state of a ${kindOf(target)}`);
}
