// Antialiased bilinear resampling, bit for bit as Pillow does it (src/libImaging/Resample.c): a triangle filter whose
// support grows with the shrinking factor, weights rounded to 22-bit fixed point, the horizontal pass rounded to 8 bits
// before the vertical one.
/** Bits of a fixed-point weight: 32 of the sum, less 8 of the pixel, less 2 of headroom. */
const PRECISION_BITS = 22;
const HALF = 1 << (PRECISION_BITS - 1);
/** Weights of one axis; `input` and `output` are its sizes. */
function axisWeights(input, output) {
    const scale = input / output;
    const filterScale = Math.max(1, scale);
    const support = filterScale;
    const taps = Math.ceil(support) * 2 + 1;
    const first = new Int32Array(output);
    const count = new Int32Array(output);
    const values = new Int32Array(output * taps);
    const weights = new Float64Array(taps);
    for (let o = 0; o < output; o++) {
        const center = (o + 0.5) * scale;
        const low = Math.max(0, Math.trunc(center - support + 0.5));
        const n = Math.min(input, Math.trunc(center + support + 0.5)) - low;
        let sum = 0;
        for (let i = 0; i < n; i++) {
            const distance = Math.abs((i + low - center + 0.5) * (1 / filterScale));
            weights[i] = distance < 1 ? 1 - distance : 0;
            sum += weights[i];
        }
        for (let i = 0; i < n; i++) {
            const weight = sum === 0 ? weights[i] : weights[i] / sum;
            values[o * taps + i] = Math.trunc(0.5 + weight * 2 ** PRECISION_BITS);
        }
        first[o] = low;
        count[o] = n;
    }
    return { taps, first, count, values };
}
/** Weights are not negative, so a sum can only be too large. */
function clampByte(sum) {
    return Math.min(sum >> PRECISION_BITS, 255);
}
/** Resamples the rows of a box: -> RGB [box.height, width, 3]. */
function horizontal(image, box, width) {
    const { taps, first, count, values } = axisWeights(box.width, width);
    const { data } = image;
    const out = new Uint8Array(box.height * width * 3);
    let target = 0;
    for (let y = 0; y < box.height; y++) {
        const row = ((box.top + y) * image.width + box.left) * 3;
        for (let x = 0; x < width; x++) {
            let r = HALF;
            let g = HALF;
            let b = HALF;
            let source = row + first[x] * 3;
            const start = x * taps;
            const end = start + count[x];
            for (let k = start; k < end; k++) {
                const weight = values[k];
                r = (r + data[source] * weight) | 0;
                g = (g + data[source + 1] * weight) | 0;
                b = (b + data[source + 2] * weight) | 0;
                source += 3;
            }
            out[target] = clampByte(r);
            out[target + 1] = clampByte(g);
            out[target + 2] = clampByte(b);
            target += 3;
        }
    }
    return out;
}
/** Resamples the columns of RGB [inputHeight, width, 3] -> [height, width, 3]. */
function vertical(data, inputHeight, width, height) {
    const { taps, first, count, values } = axisWeights(inputHeight, height);
    const stride = width * 3;
    const out = new Uint8Array(height * stride);
    const sums = new Int32Array(stride);
    for (let y = 0; y < height; y++) {
        sums.fill(HALF);
        for (let k = 0; k < count[y]; k++) {
            const weight = values[y * taps + k];
            const row = (first[y] + k) * stride;
            for (let x = 0; x < stride; x++)
                sums[x] += data[row + x] * weight;
        }
        for (let x = 0; x < stride; x++)
            out[y * stride + x] = clampByte(sums[x]);
    }
    return out;
}
/** Copies a box of a picture. */
function copyBox(image, box) {
    if (box.left === 0 && box.width === image.width) {
        const stride = image.width * 3;
        return image.data.slice(box.top * stride, (box.top + box.height) * stride);
    }
    const out = new Uint8Array(box.width * box.height * 3);
    for (let y = 0; y < box.height; y++) {
        const start = ((box.top + y) * image.width + box.left) * 3;
        out.set(image.data.subarray(start, start + box.width * 3), y * box.width * 3);
    }
    return out;
}
/**
 * Resizes a picture, or a box of it, to exactly `width` x `height` with Pillow's antialiased bilinear filter
 * (`image.crop(box).resize((width, height), BILINEAR)`), equal to it bit for bit. The result is a new picture.
 */
export function resizeBilinear(image, width, height, box) {
    const area = box ?? { left: 0, top: 0, width: image.width, height: image.height };
    const rows = area.width === width ? copyBox(image, area) : horizontal(image, area, width);
    const data = area.height === height ? rows : vertical(rows, area.height, width, height);
    return { width, height, data };
}
/**
 * Size after scaling the shorter side to `side`: the longer one is cut to a whole number (torchvision's `Resize`).
 * @returns [width, height]
 */
export function shorterSideSize(width, height, side) {
    return width <= height
        ? [side, Math.trunc((side * height) / width)]
        : [Math.trunc((side * width) / height), side];
}
/** Scales the shorter side to `side`; returns the picture itself where it has this size already. */
export function resizeShorterSide(image, side) {
    const [width, height] = shorterSideSize(image.width, image.height, side);
    return width === image.width && height === image.height ? image : resizeBilinear(image, width, height);
}
