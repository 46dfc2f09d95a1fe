/*
 * A front for exported files that takes photographs as they are, uint8 [N, H0, W0, 3] of any size, and prepares them
 * inside the graph as `data/evalTransform.ts` does, number for number: the shorter side to `resize` pixels with Pillow's
 * antialiased bilinear filter, the centre crop, / 255.
 *
 * Resampling one axis is a product with a matrix of triangle weights in 22-bit fixed point, here for the crop's places
 * only; a place outside the picture has no weights and is black. The weights are cut into three digits of 8 bits, so that
 * integer products of bytes give exactly the sums that Pillow forms.
 */
import { GraphEditor } from '../../engine/onnx/edit.js';
import { type GraphParts, ONNX_TYPE } from '../../engine/onnx/graph.js';
import type { Preprocessing } from '../../models/spec.js';

/** Bits of a weight, as in `data/resize.ts`. */
const PRECISION_BITS = 22;
const DIGIT = 256;
const DIGITS = 3;

/** The nodes of one front; sizes are float64 scalars in the graph. */
class Front {
  constructor(private readonly editor: GraphEditor) {}

  private cast(value: string, type: keyof typeof ONNX_TYPE): string {
    return this.editor.node('Cast', [value], { to: ONNX_TYPE[type] });
  }

  private op(op: string, ...inputs: readonly (string | number)[]): string {
    return this.editor.node(
      op,
      inputs.map((input) => (typeof input === 'number' ? this.editor.float64(input) : input)),
    );
  }

  /** Size of an axis of the photograph. */
  size(image: string, axis: number): string {
    const shape = this.editor.node('Shape', [image], { start: axis, end: axis + 1 });
    return this.cast(this.editor.node('Squeeze', [shape, this.editor.ints(0)]), 'float64');
  }

  /** Size after scaling: `side` for the shorter one, the other cut to a whole number. */
  scaled(size: string, other: string, side: number): string {
    const longer = this.op('Floor', this.op('Div', this.op('Mul', size, side), other));
    return this.op('Where', this.op('LessOrEqual', size, other), side, longer);
  }

  /** First place of the crop: halves go to the even neighbour; where the picture is smaller the odd pixel is at the end. */
  private offset(size: string, crop: number): string {
    const half = this.op('Div', this.op('Sub', size, crop), 2);
    return this.op('Where', this.op('Less', half, 0), this.op('Ceil', half), this.op('Round', half));
  }

  /** Fixed-point weights [crop, input] of an axis as digits, lowest first. */
  weights(input: string, output: string, crop: number): string[] {
    const { editor } = this;
    const column = (value: string): string => editor.node('Unsqueeze', [value, editor.ints(1)]);
    const counted = editor.constant(
      'float64',
      [crop],
      Float64Array.from({ length: crop }, (_, i) => i),
    );
    const places = column(this.op('Add', counted, this.offset(output, crop)));
    const scale = this.op('Div', input, output);
    const support = this.op('Max', scale, 1);
    const center = this.op('Mul', this.op('Add', places, 0.5), scale);
    const first = this.op('Floor', this.op('Add', this.op('Sub', center, support), 0.5));
    const end = this.op('Floor', this.op('Add', this.op('Add', center, support), 0.5));
    const sources = this.op('Range', 0, input, 1);
    const distance = this.op(
      'Abs',
      this.op('Mul', this.op('Add', this.op('Sub', sources, center), 0.5), this.op('Div', 1, support)),
    );
    const isNear = [
      this.op('Less', distance, 1),
      this.op('GreaterOrEqual', sources, first),
      this.op('Less', sources, end),
      this.op('GreaterOrEqual', places, 0),
      this.op('Less', places, output),
    ].reduce((all, one) => this.op('And', all, one));
    const triangle = this.op('Where', isNear, this.op('Sub', 1, distance), 0);
    const sum = editor.node('ReduceSum', [triangle, editor.ints(1)], { keepdims: 1 });
    const share = this.op('Div', triangle, this.op('Where', this.op('Equal', sum, 0), 1, sum));
    const fixed = this.op('Floor', this.op('Add', 0.5, this.op('Mul', share, 2 ** PRECISION_BITS)));
    return Array.from({ length: DIGITS }, (_, i) => {
      const rest = this.op('Floor', this.op('Div', fixed, DIGIT ** i));
      const above = this.op('Mul', this.op('Floor', this.op('Div', rest, DIGIT)), DIGIT);
      return this.cast(this.op('Sub', rest, above), 'uint8');
    });
  }

  /** The sums of digits' products as bytes, rounded. */
  bytes(products: readonly string[]): string {
    const { editor } = this;
    const int = (value: number): string => editor.constant('int32', [], Int32Array.of(value));
    const total = products
      .map((product, i) => editor.node('Mul', [product, int(DIGIT ** i)]))
      .reduce((a, b) => editor.node('Add', [a, b]));
    const rounded = editor.node('Add', [total, int(2 ** (PRECISION_BITS - 1))]);
    const shifted = editor.node('Div', [rounded, int(2 ** PRECISION_BITS)]);
    return this.cast(editor.node('Min', [shifted, int(255)]), 'uint8');
  }

  /** bytes [N,3,H,W] / 255 under a name. */
  unit(bytes: string, name: string): void {
    const full = this.editor.constant('float32', [], Float32Array.of(255));
    this.editor.node('Div', [this.cast(bytes, 'float32'), full], {}, name);
  }
}

/**
 * Replaces the input `image` [N,3,H,W] of a graph by `photo`: uint8 [N, any height, any width, 3]. A further output,
 * `prepared`, is the image.
 */
export function addPhotoFront(
  parts: GraphParts,
  names: { readonly image: string; readonly photo: string },
  batch: number | string,
  { resize, crop }: Preprocessing,
): GraphParts {
  const editor = new GraphEditor(parts, 'front_');
  const front = new Front(editor);
  const others = parts.inputs.map(({ name }) => name).filter((name) => name !== names.image);
  editor.withoutInput(names.image);
  const photo = editor.input({
    name: names.photo,
    type: 'uint8',
    dims: [batch, 'photo_height', 'photo_width', 3],
  });
  editor.orderInputs([names.photo, ...others]);
  const planes = editor.node('Transpose', [photo], { perm: [0, 3, 1, 2] });
  const [height, width] = [front.size(photo, 1), front.size(photo, 2)];
  const columns = front.weights(width, front.scaled(width, height, resize), crop[1]);
  const rows = front.weights(height, front.scaled(height, width, resize), crop[0]);
  const narrow = front.bytes(
    columns.map((digit) => {
      const matrix = editor.node('Transpose', [digit], { perm: [1, 0] });
      return editor.node('MatMulInteger', [planes, matrix]);
    }),
  );
  const small = front.bytes(rows.map((digit) => editor.node('MatMulInteger', [digit, narrow])));
  front.unit(small, names.image);
  editor.node('Identity', [names.image], {}, 'prepared');
  editor.output({ name: 'prepared', type: 'float32', dims: [batch, 3, ...crop] });
  return editor.parts();
}
