// libtumble through koffi: the engine inside a Node handler.
//
//     const fn = new TumbleFunction(spec, (row, key) => …);
//     const response = fn.invoke(event);
//
// TUMBLE_LIBRARY names the library; without it the system's libtumble.so is taken.
import koffi from 'koffi';

const library = koffi.load(process.env.TUMBLE_LIBRARY ?? 'libtumble.so');
const Row = koffi.proto('int tumble_row_fn(void *ctx, void *json, size_t length, const char *key)');
const Remaining = koffi.proto('int64_t tumble_remaining_fn(void *ctx)');
const open = library.func(
  'int tumble_function_open(const char *spec, size_t length, int report, size_t limit, tumble_row_fn *on_row, ' +
    'void *on_failure, tumble_remaining_fn *remaining, void *ctx, _Out_ void **out, _Out_ uint8_t *message, size_t message_size)',
);
const invoke = library.func(
  'int tumble_function_invoke(void *fn, const char *event, size_t length, _Out_ void **answer, _Out_ size_t *answer_length)',
);
const errorType = library.func('const char *tumble_function_error_type(void *fn)');
const errorText = library.func('const char *tumble_function_error_text(void *fn)');
const close = library.func('void tumble_function_close(void *fn)');

const text = (pointer, length) => Buffer.from(koffi.decode(pointer, 'uint8_t', Number(length))).toString('utf8');

export class TumbleError extends Error {
  constructor(type, message) {
    super(message);
    this.name = type; // what Lambda reports as errorType
  }
}

// One engine. Keep it from invocation to invocation: what it remembers saves decoding the state.
export class TumbleFunction {
  #handle;
  #callbacks;
  #context;
  #thrown;

  // onRow(row, key) takes a row of a final; what it throws fails the invocation, and Lambda tries again: the same row
  // then comes with the same key. It cannot wait for a promise: collect rows and await their delivery in the handler.
  constructor(spec, onRow, { reportBatchItemFailures = false, inlineStateLimit = 0 } = {}) {
    const take = (_ctx, json, length, key) => {
      try {
        onRow(JSON.parse(text(json, length)), key);
        return 0;
      } catch (error) {
        this.#thrown = error;
        return 1;
      }
    };
    const remaining = () => (this.#context ? Math.max(0, this.#context.getRemainingTimeInMillis() - 500) : 2 ** 52);
    this.#callbacks = [koffi.register(take, koffi.pointer(Row)), koffi.register(remaining, koffi.pointer(Remaining))];
    const json = typeof spec === 'string' ? spec : JSON.stringify(spec);
    const out = [null];
    const message = Buffer.alloc(320);
    const failed = open(json, Buffer.byteLength(json), reportBatchItemFailures ? 1 : 0, inlineStateLimit, this.#callbacks[0], null,
      this.#callbacks[1], null, out, message, message.length);
    if (failed) {
      this.close();
      throw new TumbleError('Tumble.InvalidSpec', message.toString('utf8', 0, message.indexOf(0)));
    }
    this.#handle = out[0];
  }

  // event: as Lambda gives it to a handler; context: the handler's, for its deadline. Returns the response.
  invoke(event, context) {
    const json = JSON.stringify(event);
    const answer = [null];
    const length = [0];
    this.#context = context;
    this.#thrown = undefined;
    if (invoke(this.#handle, json, Buffer.byteLength(json), answer, length)) {
      const error = new TumbleError(errorType(this.#handle), errorText(this.#handle));
      error.cause = this.#thrown;
      throw error;
    }
    return JSON.parse(text(answer[0], length[0]));
  }

  close() {
    if (this.#handle) close(this.#handle);
    this.#handle = null;
    for (const callback of this.#callbacks) koffi.unregister(callback);
    this.#callbacks = [];
  }
}
