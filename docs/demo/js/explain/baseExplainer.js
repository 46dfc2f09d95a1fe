import { FactError } from '../core/errors.js';
import { toUnitRange } from '../data/evalTransform.js';
import { assembleExplanation } from './assemble.js';
import { className } from './classes.js';
import { DEFAULT_TOLERANCE } from './ledger.js';
import { probabilityOf, requireClasses, requireExplainable } from './modelKind.js';
export const DEFAULT_TOP = 8;
function argMax(values) {
    let best = 0;
    for (let i = 1; i < values.length; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}
/** Indices of the `count` largest values of `key`, falling; ties by index. */
function largest(length, count, key) {
    return Array.from({ length }, (_, i) => i)
        .sort((a, b) => key(b) - key(a) || a - b)
        .slice(0, count);
}
/** Row `index` of `count` equal rows. */
function rowOf(values, index, count) {
    const length = values.length / count;
    return values.slice(index * length, (index + 1) * length);
}
function imageBatch(images) {
    const { height, width } = images[0];
    const size = height * width * 3;
    const values = new Float32Array(images.length * size);
    images.forEach((image, i) => {
        toUnitRange(image.pixels, values, i * size);
    });
    return { values, count: images.length, height, width };
}
/** Numbers of image `i` of `count`. */
function numbersOf(a, i, count, isDifference) {
    const row = (values) => rowOf(values, i, count);
    const c = a.concepts;
    return {
        scores: row(a.spliced),
        gradient: row(a.gradient),
        map: row(a.map),
        lowerTerms: row(a.lowerConstants),
        concepts: c === null
            ? null
            : {
                contributions: row(c.contributions),
                presence: row(c.presence),
                errors: row(c.errors),
                lengths: row(c.lengths),
                upperTerms: row(c.upperConstants),
                versus: isDifference ? row(c.versus) : null,
                shown: [...rowOf(c.shown, i, count)],
                maps: row(c.maps),
                mapTerms: row(c.mapConstants),
                traces: c.traces === null ? null : row(c.traces),
                latePresence: c.latePresence === null ? null : row(c.latePresence),
            },
    };
}
/** Explains images with given programs. Explaining is deterministic and changes nothing. */
export class BaseExplainer {
    subject;
    programs;
    top;
    tolerance;
    /** Owns the programs. @param options.top concepts for which `programs` were made */
    constructor(subject, programs, options = {}) {
        this.subject = subject;
        this.programs = programs;
        this.top = options.top ?? DEFAULT_TOP;
        this.tolerance = options.tolerance ?? DEFAULT_TOLERANCE;
    }
    get spec() {
        return this.subject.spec;
    }
    checkFinite(images, scores) {
        scores.forEach((row, i) => {
            const bad = row.findIndex((v) => !Number.isFinite(v));
            if (bad < 0)
                return;
            throw new FactError({
                code: 'E_NOT_FINITE',
                message: `${images[i].name}: the network's score of ${className(this.spec, bad)} is ${row[bad]}`,
                remedy: 'The weights of the network or of the autoencoder are damaged, or its training diverged.',
            });
        });
    }
    scoreRows(images, arrays) {
        const rows = images.map((_, i) => ({
            alone: rowOf(arrays.alone, i, images.length),
            spliced: rowOf(arrays.spliced, i, images.length),
        }));
        this.checkFinite(images, rows.map(({ alone }) => alone));
        this.checkFinite(images, rows.map(({ spliced }) => spliced));
        return rows;
    }
    /** Scores of images of one size. Throws FactError E_NOT_FINITE, E_NO_CLASSES. */
    async scores(images) {
        requireClasses(this.spec);
        if (images.length === 0)
            return [];
        return this.scoreRows(images, await this.programs.scores(imageBatch(images)));
    }
    /** A class with its logit and probability, from scores before the bias. */
    classScore(scores, index) {
        const logit = scores[index] + (this.spec.logitBias ?? 0);
        const probability = probabilityOf(this.spec, scores, index);
        return { index, name: className(this.spec, index), logit, probability };
    }
    /** The classes with the highest logits, falling. */
    ranking(scores, count) {
        return largest(scores.length, count, (i) => scores[i]).map((index) => this.classScore(scores, index));
    }
    /** The second class that the program is asked to subtract; it leaves out one that is the answer itself. */
    versusOf(image, choice) {
        if (choice.versus !== undefined)
            return choice.versus;
        return choice.for === undefined ? image.trueClass : null;
    }
    /** What the program chose by the same rule: see `chooseTargets`. */
    chosen(image, scores, choice) {
        const main = choice.for ?? argMax(scores);
        const versus = this.versusOf(image, choice);
        const isAsked = choice.for !== undefined || choice.versus !== undefined;
        if (versus === null || versus === main)
            return { for: main, versus: null, reason: choice.for === undefined ? 'predicted' : 'asked' };
        return { for: main, versus, reason: isAsked ? 'asked' : 'misclassified' };
    }
    /** One-hot rows; rows of null stay zero. */
    oneHot(classes) {
        const { numClasses } = this.spec.options;
        const values = new Float32Array(classes.length * numClasses);
        classes.forEach((index, i) => {
            if (index !== null)
                values[i * numClasses + index] = 1;
        });
        return values;
    }
    /**
     * Explains images of one size. Without a choice: the predicted class, or for an image whose true class is known and
     * missed, the predicted against the true class. Throws FactError E_NOT_FINITE, E_EXPLAIN_STANDARD.
     */
    async explain(images, choice = {}) {
        requireExplainable(this.spec);
        if (images.length === 0)
            return [];
        const arrays = await this.programs.explain(imageBatch(images), this.oneHot(images.map(() => choice.for ?? null)), this.oneHot(images.map((image) => this.versusOf(image, choice))));
        const scores = this.scoreRows(images, arrays);
        return images.map((image, i) => {
            const target = this.chosen(image, scores[i].spliced, choice);
            return assembleExplanation({
                image,
                scores: scores[i],
                target,
                numbers: numbersOf(arrays, i, images.length, target.versus !== null),
                classScore: (row, index) => this.classScore(row, index),
                ranking: this.ranking(scores[i].spliced, 5),
                tap: this.subject.tap,
                logitBias: this.spec.logitBias ?? 0,
                tolerance: this.tolerance,
                lowerConstants: this.programs.lowerConstants,
                upperConstants: this.programs.upperConstants,
                earlyTap: this.subject.earlyTap,
            });
        });
    }
    /** Frees the programs. */
    dispose() {
        this.programs.dispose();
    }
}
