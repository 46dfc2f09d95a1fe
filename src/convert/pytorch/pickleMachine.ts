import type { CheckpointFault } from '../checkpointError.js';
import { MAX_KEY_TEXT, MAX_PICKLE_OBJECTS, MAX_PICKLE_TEXT, MAX_PICKLE_VALUES } from '../limits.js';
import type { PickleContext, PickleSite } from './pickleContext.js';
import { PickleCursor } from './pickleCursor.js';
import { build, call, findGlobal } from './pickleGlobals.js';
import { keyText } from './pickleKey.js';
import { OP, REFUSED } from './pickleOpcodes.js';
import { kindOf, type PickleValue, type PyDict, type PySet, type PyTuple } from './pickleValues.js';

const EMPTY_TUPLE: PyTuple = { kind: 'tuple', items: [] };

/**
 * A pickle machine that builds data and nothing else. Names of Python objects resolve through the allow-list of
 * `pickleGlobals.ts`, calls are carried out for those entries only, no attribute is ever looked up, and every value
 * counts against the limits. Iterative: nesting cannot overflow the stack.
 */
export class PickleMachine {
  private readonly cursor: PickleCursor;
  private opcodeAt = 0;
  private stack: PickleValue[] = [];
  private marks: PickleValue[][] = [];
  private memo = new Map<number, PickleValue>();
  private values = 0;
  private objects = 0;
  private text = 0;

  constructor(
    bytes: Uint8Array,
    private readonly context: PickleContext,
  ) {
    this.cursor = new PickleCursor(bytes, (fault, what) => this.fault(fault, what));
  }

  /** Runs the pickle that begins at `start`; returns its value and the offset behind its STOP. Limits add up over calls. */
  run(start: number): { value: PickleValue; end: number } {
    this.cursor.at = start;
    this.stack = [];
    this.marks = [];
    this.memo = new Map();
    for (;;) {
      this.opcodeAt = this.cursor.at;
      const opcode = this.cursor.byte();
      if (opcode === OP.stop) {
        if (this.marks.length > 0 || this.stack.length !== 1)
          throw this.fault('corrupt', 'STOP with a stack that does not hold exactly one value');
        return { value: this.stack[0], end: this.cursor.at };
      }
      this.step(opcode);
      this.checkLimits();
    }
  }

  private step(opcode: number): void {
    const { stack, cursor } = this;
    switch (opcode) {
      case OP.proto: {
        const version = cursor.byte();
        if (version < 2 || version > 5)
          throw this.fault('unsupported', `pickle protocol ${version}, expected 2 to 5`);
        return;
      }
      case OP.frame: {
        const length = cursor.length64();
        if (length > cursor.left)
          throw this.fault('truncated', `a frame of ${length} bytes, ${cursor.left} are left`);
        return;
      }
      case OP.mark:
        this.marks.push(stack);
        this.stack = [];
        this.values++;
        return;
      case OP.pop:
        this.pop();
        return;
      case OP.popMark:
        this.popMark();
        return;
      case OP.none:
        this.push(null);
        return;
      case OP.newTrue:
        this.push(true);
        return;
      case OP.newFalse:
        this.push(false);
        return;
      case OP.binInt:
        this.push(cursor.int32());
        return;
      case OP.binInt1:
        this.push(cursor.byte());
        return;
      case OP.binInt2:
        this.push(cursor.uint16());
        return;
      case OP.long1:
        this.pushLong(cursor.byte());
        return;
      case OP.long4:
        this.pushLong(cursor.int32());
        return;
      case OP.binFloat:
        this.pushObject({ kind: 'float', value: cursor.float64() });
        return;
      case OP.shortBinUnicode:
      case OP.shortBinString:
        this.push(this.string(cursor.byte()));
        return;
      case OP.binUnicode:
        this.push(this.string(cursor.uint32()));
        return;
      case OP.binString:
        this.push(this.string(cursor.int32()));
        return;
      case OP.binUnicode8:
        this.push(this.string(cursor.length64()));
        return;
      case OP.shortBinBytes:
        this.pushBytes(cursor.byte());
        return;
      case OP.binBytes:
        this.pushBytes(cursor.uint32());
        return;
      case OP.binBytes8:
      case OP.byteArray8:
        this.pushBytes(cursor.length64());
        return;
      case OP.emptyTuple:
        this.pushObject(EMPTY_TUPLE);
        return;
      case OP.tuple1:
        this.pushTuple(1);
        return;
      case OP.tuple2:
        this.pushTuple(2);
        return;
      case OP.tuple3:
        this.pushTuple(3);
        return;
      case OP.tuple:
        this.pushObject({ kind: 'tuple', items: this.popMark() });
        return;
      case OP.emptyList:
        this.pushObject({ kind: 'list', items: [] });
        return;
      case OP.list:
        this.pushObject({ kind: 'list', items: this.popMark() });
        return;
      case OP.emptyDict:
        this.pushObject({ kind: 'dict', entries: new Map() });
        return;
      case OP.dict: {
        const items = this.popMark();
        const dict: PyDict = { kind: 'dict', entries: new Map() };
        this.setItems(dict, items);
        this.pushObject(dict);
        return;
      }
      case OP.emptySet:
        this.pushObject({ kind: 'set', entries: new Map() });
        return;
      case OP.frozenSet: {
        const set: PySet = { kind: 'set', entries: new Map() };
        for (const item of this.popMark()) set.entries.set(this.key(item), item);
        this.pushObject(set);
        return;
      }
      case OP.addItems: {
        const items = this.popMark();
        const set = this.top();
        if (set === null || typeof set !== 'object' || set.kind !== 'set')
          throw this.fault('corrupt', `ADDITEMS to a ${kindOf(set)}`);
        for (const item of items) set.entries.set(this.key(item), item);
        return;
      }
      case OP.append:
        this.appendItems([this.pop()]);
        return;
      case OP.appends:
        this.appendItems(this.popMark());
        return;
      case OP.setItem: {
        const value = this.pop();
        const key = this.pop();
        this.setItems(this.top(), [key, value]);
        return;
      }
      case OP.setItems: {
        const items = this.popMark();
        this.setItems(this.top(), items);
        return;
      }
      case OP.binPut:
        this.remember(cursor.byte());
        return;
      case OP.longBinPut:
        this.remember(cursor.uint32());
        return;
      case OP.memoize:
        this.remember(this.memo.size);
        return;
      case OP.binGet:
        this.recall(cursor.byte());
        return;
      case OP.longBinGet:
        this.recall(cursor.uint32());
        return;
      case OP.global: {
        const module = this.line();
        this.pushGlobal(module, this.line());
        return;
      }
      case OP.stackGlobal: {
        const name = this.pop();
        const module = this.pop();
        if (typeof name !== 'string' || typeof module !== 'string')
          throw this.fault('corrupt', 'STACK_GLOBAL needs two strings');
        this.pushGlobal(module, name);
        return;
      }
      case OP.binPersId:
        this.pushObject(this.context.persistent(this.pop(), this.where));
        return;
      case OP.reduce:
      case OP.newObj: {
        const args = this.popTuple();
        this.pushObject(call(this.site, this.pop(), args.items, opcode === OP.newObj));
        return;
      }
      case OP.build: {
        const state = this.pop();
        build(this.site, this.top(), state);
        return;
      }
      default: {
        const refused = REFUSED.get(opcode);
        if (refused !== undefined) throw this.fault(refused[0], refused[1]);
        throw this.fault('corrupt', `0x${opcode.toString(16).padStart(2, '0')} is no pickle opcode`);
      }
    }
  }

  private get where(): string {
    return `${this.context.stream}, byte ${this.opcodeAt}`;
  }

  private checkLimits(): void {
    if (this.values > MAX_PICKLE_VALUES || this.objects > MAX_PICKLE_OBJECTS || this.text > MAX_PICKLE_TEXT)
      throw this.fault(
        'too_large',
        `it builds more than ${MAX_PICKLE_VALUES} values, ${MAX_PICKLE_OBJECTS} objects or ${MAX_PICKLE_TEXT} bytes of text`,
      );
  }

  private get site(): PickleSite {
    return {
      errors: this.context.errors,
      where: this.where,
      charge: (values, text) => {
        this.values += values;
        this.text += text;
        this.checkLimits();
      },
    };
  }

  private fault(fault: CheckpointFault, what: string): Error {
    return this.context.errors.fault(fault, this.where, what);
  }

  private string(length: number): string {
    this.text += length;
    this.objects++;
    return this.cursor.text(length);
  }

  /** A line of GLOBAL, without its end. */
  private line(): string {
    const line = this.cursor.line();
    this.text += line.length;
    return line;
  }

  private push(value: PickleValue): void {
    this.values++;
    this.stack.push(value);
  }

  private pushLong(length: number): void {
    this.text += length;
    this.push(this.cursor.long(length));
  }

  private pushObject(value: PickleValue): void {
    this.objects++;
    this.push(value);
  }

  private pushBytes(length: number): void {
    this.text += length;
    this.pushObject({ kind: 'bytes', data: this.cursor.slice(length) });
  }

  private pushTuple(length: number): void {
    if (this.stack.length < length) throw this.fault('corrupt', 'the stack holds too few values');
    this.pushObject({ kind: 'tuple', items: this.stack.splice(this.stack.length - length) });
  }

  private pushGlobal(module: string, name: string): void {
    this.pushObject(findGlobal(this.site, module, name));
  }

  private pop(): PickleValue {
    const value = this.stack.pop();
    if (value === undefined) throw this.fault('corrupt', 'the stack is empty');
    return value;
  }

  private top(): PickleValue {
    if (this.stack.length === 0) throw this.fault('corrupt', 'the stack is empty');
    return this.stack[this.stack.length - 1];
  }

  private popTuple(): PyTuple {
    const value = this.pop();
    if (value === null || typeof value !== 'object' || value.kind !== 'tuple')
      throw this.fault('corrupt', `a call with a ${kindOf(value)} in place of arguments`);
    return value;
  }

  private popMark(): PickleValue[] {
    const before = this.marks.pop();
    if (before === undefined) throw this.fault('corrupt', 'there is no mark');
    const items = this.stack;
    this.stack = before;
    return items;
  }

  private remember(index: number): void {
    this.values++;
    this.memo.set(index, this.top());
  }

  private recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) throw this.fault('corrupt', `nothing was remembered under ${index}`);
    this.push(value);
  }

  private appendItems(items: readonly PickleValue[]): void {
    const list = this.top();
    if (list === null || typeof list !== 'object' || list.kind !== 'list')
      throw this.fault('corrupt', `items are appended to a ${kindOf(list)}`);
    for (const item of items) list.items.push(item);
  }

  private setItems(dict: PickleValue, items: readonly PickleValue[]): void {
    if (dict === null || typeof dict !== 'object' || dict.kind !== 'dict')
      throw this.fault('corrupt', `items are set in a ${kindOf(dict)}`);
    if (items.length % 2 !== 0) throw this.fault('corrupt', 'a key without a value');
    for (let i = 0; i < items.length; i += 2) dict.entries.set(this.key(items[i]), [items[i], items[i + 1]]);
  }

  private key(value: PickleValue): string {
    const text = keyText(value, MAX_KEY_TEXT);
    if (text === null)
      throw this.fault(
        'corrupt',
        `a ${kindOf(value)} cannot be a key, or is longer than ${MAX_KEY_TEXT} characters`,
      );
    this.objects++;
    this.text += text.length;
    return text;
  }
}
