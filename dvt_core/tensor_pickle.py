"""A pickle as data: what `torch.save` writes, read by a machine that can call nothing foreign.

A pickle is a program: it names functions and calls them. Here the opcodes of protocol 2, parsed by
`pickletools`, move plain values on a stack, and the only things that can be called are those of
`dvt_core.pickle_names`. `torch.load(weights_only=True)` is not enough for files of unknown origin:
among the names it allows are some that take sizes (`bytearray(10**11)` in a file of 1 kB), it
hashes whatever stands as a key (nested tuples take for ever), and its list of names belongs to the
whole process, so two threads disturb each other.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO

from dvt_core.pickle_names import BUILDABLE, Name, PickleError, Storage, checked, find_name, key_of

MAX_STEPS = 1_000_000  # a released checkpoint takes some ten thousand
_MAX_COPIED = 1 << 26  # bytes handed to functions, an item of a container counted as 64
_DAMAGE = (EOFError, ValueError, LookupError, TypeError, RuntimeError, ArithmeticError)
_DAMAGE += (AttributeError, Warning)  # the last one where warnings are errors


def read_pickle(file: BinaryIO, find_storage: Callable[[Any], Storage]) -> Any:
    """The object that the pickle at the file's position holds; the file then stands behind it.

    Args:
        file: seekable.
        find_storage: gives the bytes for the persistent id of a storage; sees what
            `storage_id` takes.

    Raises:
        PickleError: damaged, too large, or in need of a foreign name (`ForeignName`).
    """
    machine = _Machine(find_storage)
    try:
        whole: Any = _Whole(file)
        for step, (opcode, arg, _) in enumerate(pickletools.genops(whole)):
            if step >= MAX_STEPS:
                raise PickleError(f"more than {MAX_STEPS:,} instructions")
            if opcode.name == "STOP":
                break
            machine.step(opcode.name, arg)
        (made,) = machine.stack
    except PickleError:
        raise
    except _DAMAGE as error:
        raise PickleError(f"a pickle that does not make sense: {error}") from error
    return made


class _Whole:
    """A file that refuses to read beyond its end: Python would take the memory asked for first."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, at = file, file.tell()
        self.end = file.seek(0, 2)
        file.seek(at)
        self.readline, self.tell = file.readline, file.tell

    def read(self, count: int) -> bytes:
        if count > self.end - self.tell():
            raise EOFError("the file ends within a value")
        return self.file.read(count)


class _Machine:
    """The stack, the memo, and one method per group of opcodes."""

    def __init__(self, find_storage: Callable[[Any], Storage]) -> None:
        self.find_storage = find_storage
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []  # what lies under each mark
        self.memo: dict[int, Any] = {}
        self.copied = 0

    def pop_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.below.pop()
        return items

    def step(self, code: str, arg: Any) -> None:
        stack = self.stack
        if code in _PUSH_ARG:
            stack.append(arg)
        elif code in _PUSH_NEW:
            stack.append(_PUSH_NEW[code]())
        elif code in ("BINPUT", "LONG_BINPUT"):
            self.memo[arg] = stack[-1]
        elif code in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[arg])
        elif code == "MARK":
            self.below.append(stack)
            self.stack = []
        elif code in _TUPLES:
            count = _TUPLES[code]
            if len(stack) < count:
                raise IndexError("empty stack")
            stack[-count:] = [tuple(stack[-count:])]
        elif code == "TUPLE":
            items = tuple(self.pop_mark())
            self.stack.append(items)
        elif code in ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"):
            self.fill(code)
        else:
            self.make(code, arg)

    def fill(self, code: str) -> None:
        """Puts items into the list, dict or set on top of the stack."""
        if code.endswith("S"):
            items = self.pop_mark()
        else:
            count = 1 if code == "APPEND" else 2
            items = self.stack[-count:]
            del self.stack[-count:]
        top = self.stack[-1]
        if code.startswith("APPEND"):
            checked(top, list).extend(items)
        elif code.startswith("SET"):
            pairs = zip(items[::2], items[1::2], strict=True)
            checked(top, dict).update((key_of(key), value) for key, value in pairs)
        else:
            checked(top, set).update(map(key_of, items))

    def make(self, code: str, arg: Any) -> None:
        """Whatever has to do with a name."""
        if code == "GLOBAL":
            self.stack.append(find_name(arg))
        elif code in ("REDUCE", "NEWOBJ"):
            args = checked(self.stack.pop(), tuple)
            self.count(args)
            made = checked(self.stack.pop(), Name).call(args)
            self.stack.append(made)
        elif code == "BUILD":
            state = self.stack.pop()
            self.count(state if isinstance(state, tuple) else ())
            checked(self.stack[-1], BUILDABLE).build(state)
        elif code == "BINPERSID":
            self.stack.append(self.find_storage(self.stack.pop()))
        elif code != "PROTO":
            raise PickleError(f"the instruction {code}")

    def count(self, args: tuple[Any, ...]) -> None:
        """Stops a pickle that has the same large value copied over and over."""
        sizes = (len(a) * (1 if isinstance(a, str | bytes) else 64) for a in args if _is_sized(a))
        self.copied += 64 * len(args) + sum(sizes)
        if self.copied > _MAX_COPIED:
            raise PickleError("values that are copied too often")


def _is_sized(value: Any) -> bool:
    return isinstance(value, str | bytes | bytearray | list | tuple | dict | set)


_PUSH_ARG = {"BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT", "BINUNICODE"}
_PUSH_ARG |= {"SHORT_BINSTRING", "BINSTRING"}
_PUSH_NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
