"""libtumble through ctypes: the engine inside a Python handler. No package is needed, only libtumble.so.

    function = tumble.Function(spec, on_row)
    response = function.invoke(event)

It is looked for beside this file, in lib/ beside it (where a Lambda layer or zip would have it), and where the system
looks; TUMBLE_LIBRARY names another."""

import ctypes
import ctypes.util
import json
import os

ROW = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p)
REMAINING = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)


class TumbleError(Exception):
    """Lambda reports the class as errorType; type holds the engine's own, as "Tumble.BadRecord"."""

    def __init__(self, kind, text):
        super().__init__(f"{kind}: {text}" if kind else text)
        self.type = kind


def load():
    here = os.path.dirname(os.path.abspath(__file__))
    places = [os.environ.get("TUMBLE_LIBRARY"), os.path.join(here, "libtumble.so"), os.path.join(here, "lib", "libtumble.so")]
    path = next((place for place in places if place and os.path.exists(place)), None) or ctypes.util.find_library("tumble")
    if not path:
        raise TumbleError("", "libtumble.so is not found: put it beside tumble.py, or set TUMBLE_LIBRARY")
    library = ctypes.CDLL(path)
    size, pointer = ctypes.c_size_t, ctypes.c_void_p
    library.tumble_function_open.argtypes = [ctypes.c_char_p, size, ctypes.c_int, size, ROW, pointer, REMAINING, pointer,
                                             ctypes.POINTER(pointer), ctypes.c_char_p, size]
    library.tumble_function_invoke.argtypes = [pointer, ctypes.c_char_p, size, ctypes.POINTER(pointer), ctypes.POINTER(size)]
    library.tumble_function_error_type.argtypes = library.tumble_function_error_text.argtypes = [pointer]
    library.tumble_function_error_type.restype = library.tumble_function_error_text.restype = ctypes.c_char_p
    library.tumble_function_close.argtypes = [pointer]
    library.tumble_function_close.restype = None
    return library


class Function:
    """One engine. Keep it from invocation to invocation: what it remembers saves decoding the state."""

    def __init__(self, spec, on_row, report_batch_item_failures=False, inline_state_limit=0):
        """spec: a dict, or JSON text. on_row(row, key): takes a row of a final, a dict; what it raises fails the
        invocation, and Lambda tries again: the same row then comes with the same key."""
        self._library, self._handle, self._on_row, self._raised, self._context = load(), ctypes.c_void_p(), on_row, None, None
        text = (spec if isinstance(spec, str) else json.dumps(spec)).encode()
        # Callbacks must live as long as the engine.
        self._callbacks = (ROW(self._take), REMAINING(self._remaining))
        message = ctypes.create_string_buffer(320)
        if self._library.tumble_function_open(text, len(text), int(report_batch_item_failures), inline_state_limit, self._callbacks[0],
                                              None, self._callbacks[1], None, ctypes.byref(self._handle), message, len(message)):
            raise TumbleError("", message.value.decode())

    def _take(self, _ctx, data, length, key):
        try:
            self._on_row(json.loads(ctypes.string_at(data, length)), key.decode())
            return 0
        except Exception as error:  # must not pass through C
            self._raised = error
            return 1

    def _remaining(self, _ctx):
        return self._context.get_remaining_time_in_millis() - 500 if self._context else 2**62

    def invoke(self, event, context=None):
        """event: as Lambda gives it to a handler; context: the handler's, for its deadline. Returns the response."""
        text = json.dumps(event).encode()
        answer, length = ctypes.c_void_p(), ctypes.c_size_t()
        self._context, self._raised = context, None
        failed = self._library.tumble_function_invoke(self._handle, text, len(text), ctypes.byref(answer), ctypes.byref(length))
        if failed:
            raise TumbleError(self._library.tumble_function_error_type(self._handle).decode(),
                              self._library.tumble_function_error_text(self._handle).decode()) from self._raised
        return json.loads(ctypes.string_at(answer, length.value))

    def close(self):
        self._library.tumble_function_close(self._handle)
        self._handle = ctypes.c_void_p()
