import { resizeShorterSide } from './resize.js';
/** Python's `round`: halves go to the even neighbour. */
export function roundHalfEven(value) {
    const low = Math.floor(value);
    const rest = value - low;
    if (rest !== 0.5)
        return Math.round(value);
    return low % 2 === 0 ? low : low + 1;
}
/**
 * Copies a window of a picture; what lies outside the picture is black.
 * @param flip mirror the window left to right
 * @returns RGB [height, width, 3]
 */
export function copyWindow(image, top, left, height, width, flip = false) {
    const out = new Uint8Array(height * width * 3);
    const firstX = Math.max(0, -left);
    const lastX = Math.min(width, image.width - left);
    for (let y = Math.max(0, -top); y < Math.min(height, image.height - top); y++) {
        const row = ((top + y) * image.width + left) * 3;
        const target = y * width * 3;
        if (!flip) {
            if (lastX > firstX) {
                out.set(image.data.subarray(row + firstX * 3, row + lastX * 3), target + firstX * 3);
            }
            continue;
        }
        for (let x = firstX; x < lastX; x++) {
            const from = row + x * 3;
            const to = target + (width - 1 - x) * 3;
            out[to] = image.data[from];
            out[to + 1] = image.data[from + 1];
            out[to + 2] = image.data[from + 2];
        }
    }
    return out;
}
/**
 * First row or column of a centre crop (torchvision's `CenterCrop`): offset rounded half to even; where the picture is
 * smaller it is padded with black, the odd pixel at the end.
 */
export function centerOffset(size, crop) {
    return crop > size ? -Math.floor((crop - size) / 2) : roundHalfEven((size - crop) / 2);
}
/** Middle `height` x `width` window of a picture as RGB [height, width, 3]; black where the picture is smaller. */
export function centerCrop(image, height, width) {
    return copyWindow(image, centerOffset(image.height, height), centerOffset(image.width, width), height, width);
}
/** Applies the evaluation preprocessing. @returns RGB bytes [crop height, crop width, 3] */
export function evalTransform(image, transform) {
    const [height, width] = transform.crop;
    return centerCrop(resizeShorterSide(image, transform.resize), height, width);
}
const UNIT = Float32Array.from({ length: 256 }, (_, i) => i / 255);
/**
 * Bytes to the network's input range: each value is float32(byte / 255).
 * @param out array to write into at `offset`; a new one if left out
 */
export function toUnitRange(bytes, out = new Float32Array(bytes.length), offset = 0) {
    for (let i = 0; i < bytes.length; i++)
        out[offset + i] = UNIT[bytes[i]];
    return out;
}
