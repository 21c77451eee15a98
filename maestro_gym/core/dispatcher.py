"""The project's numba dispatcher: machine code is made of what Python calls, once, whole.

numba makes machine code of every function alone, with a wrapper for Python and one for C, and again of everything that
the function calls: an engine of two hundred functions is optimised and translated many times over. Here a function
that is called by other compiled code stays a *part*: typed, lowered and kept as LLVM's intermediate code. Only an
*entry*, which Python or a function pointer calls, is linked from all the parts below it and becomes machine code.

Parts also know fewer types: a constant or a 32-bit integer is handed over as int64, a default value as its own type,
so that a function is compiled once and not once for each constant.
"""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from llvmlite import binding as llvm
from numba import types
from numba.core import compiler, event, sigutils, typing
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler_lock import global_compiler_lock
from numba.core.dispatcher import _FunctionCompiler  # pyright: ignore[reportAttributeAccessIssue]
from numba.core.registry import CPUDispatcher

from maestro_gym.core.code_cache import CodeCache, Part
from maestro_gym.core.compile_beside import BESIDE
from maestro_gym.core.ending import insisting

_WIDENED = (types.int8, types.int16, types.int32)


class _StableNames(compiler.Compiler):
    """numba's pipeline, the symbols named alike in every process: parts that two processes compiled link together."""

    def _compile_bytecode(self) -> Any:  # noqa: ANN401 - numba's own object
        identity = self.state.func_id
        # With the line: a file may hold two functions of one name, one of them generated.
        identity.unique_id = identity.firstlineno
        identity.unique_name = f"{identity.func_qualname}${identity.unique_id}"
        return super()._compile_bytecode()


def _layout_in_symbols(record: types.Record) -> tuple[str, tuple[int]]:
    """How a record is named in a symbol: by its layout, where numba takes its place among all types of the process."""
    return "Record", (int.from_bytes(hashlib.sha256(record.name.encode()).digest()[:7], "big"),)


# A function that is handed a record, or an array of them, has another symbol in every process otherwise, and parts that
# two processes compiled at the same time call what is not there.
types.Record.mangling_args = property(_layout_in_symbols)  # pyright: ignore[reportAttributeAccessIssue]


class PartLibrary(JITCodeLibrary):
    """Intermediate code of one function of the project, and of what it calls of numba's own."""

    def add_linking_library(self, library: Any) -> None:  # noqa: ANN401 - numba's own object
        """Note what the function calls."""
        if library not in self._linking_libraries:
            self._linking_libraries.append(library)

    def finalize(self) -> None:
        """Take in what is not of the project; no machine code is made."""
        module: Any = self._final_module
        for library in self._linking_libraries:
            if not isinstance(library, PartLibrary):
                module.link_in(library._get_module_for_linking(), preserve=True)
        self._linking_libraries = [library for library in self._linking_libraries if isinstance(library, PartLibrary)]
        for function in module.functions:
            if not function.is_declaration and function.linkage == llvm.Linkage.external:
                function.linkage = "linkonce_odr"
        self._finalize_dynamic_globals()
        self._finalized = True

    def _get_module_for_linking(self) -> Any:  # noqa: ANN401 - LLVM's own object
        """All that is needed to call it, for code that is not of the project."""
        if self._shared_module is None:
            module = self._final_module.clone()
            for part in closure(self._linking_libraries):
                module.link_in(part._final_module, preserve=True)
            self._shared_module = module
        return self._shared_module

    @property
    def is_cachable(self) -> bool:
        """Whether another process could use it: no address of this one stands in it."""
        return not self.has_dynamic_globals


class EntryLibrary(JITCodeLibrary):
    """Machine code of an entry and of all parts below it, each linked once."""

    def finalize(self) -> None:
        """Link, optimise, translate."""
        self._raise_if_finalized()
        for library in closure(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            own = library._final_module if isinstance(library, PartLibrary) else library._get_module_for_linking()
            self._final_module.link_in(own, preserve=True)
        self._optimize_final_module()
        self._final_module.verify()
        self._finalize_final_module()


def closure(libraries: Iterable[Any]) -> list[Any]:
    """Libraries and all parts that they need, each once, and behind all that need it.

    The order matters: LLVM takes a function that may be left out into a module only where something calls it already.
    """
    begun: set[Any] = set()
    ended: list[Any] = []
    waiting = [(library, False) for library in libraries]
    while waiting:
        library, has_begun = waiting.pop()
        if has_begun:
            ended.append(library)
        elif library not in begun:
            begun.add(library)
            waiting.append((library, True))
            if isinstance(library, PartLibrary):
                waiting += [(needed, False) for needed in library._linking_libraries]
    return ended[::-1]


class _EntryCompiler(_FunctionCompiler):
    """numba's, with a library that is linked from parts."""

    def _compile_core(self, args: Any, return_type: Any) -> Any:  # noqa: ANN401 - numba's own objects
        return _compiled(self, EntryLibrary, args, return_type)


def _compiled(how: _FunctionCompiler, kind: type[JITCodeLibrary], args: Any, return_type: Any) -> Any:  # noqa: ANN401
    """Type and lower a function into a new library."""
    flags: Any = compiler.Flags()
    how.targetdescr.options.parse_as_flags(flags, how.targetoptions)
    if kind is PartLibrary:
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    context = how.targetdescr.target_context
    library = kind(context.codegen(), how.py_func.__qualname__)
    library.enable_object_caching()
    return compiler.compile_extra(
        how.targetdescr.typing_context,
        context,
        how.py_func,
        args=args,
        return_type=return_type,
        flags=flags,
        locals=how.locals,
        library=library,
        pipeline_class=how.pipeline_class,
    )


def _handed_over(kind: types.Type) -> types.Type:
    """The type in which an argument reaches a part."""
    if isinstance(kind, types.Omitted):
        value = kind.value
        if isinstance(value, bool):
            return types.boolean
        return types.int64 if isinstance(value, int) else types.float64 if isinstance(value, float) else kind
    if isinstance(kind, types.BooleanLiteral):
        return types.boolean
    return types.int64 if isinstance(kind, types.IntegerLiteral) or kind in _WIDENED else kind


_Base: Any = CPUDispatcher  # untyped: numba's parts of it are


class Dispatcher(_Base):
    """numba's dispatcher, which makes parts for compiled callers.

    Attributes:
        parts: What compiled callers use, by types of the arguments and declared type of the answer.
        fixed: The only signature that Python may call, compiled at the first call; None: any.
    """

    def __init__(self, py_func: Any, options: dict[str, Any], cache: CodeCache | None) -> None:  # noqa: ANN401
        """Make the dispatcher; nothing is compiled yet.

        Args:
            py_func: The function.
            options: numba's target options.
            cache: Where compiled code is kept; None keeps none.
        """
        super().__init__(py_func, targetoptions={"nopython": True, **options})
        names = compiler.Compiler if cache is None else _StableNames
        self._compiler = _EntryCompiler(py_func, self.targetdescr, self.targetoptions, self.locals, names)
        if cache is not None:
            self._cache = cache
        self.parts: dict[Any, Any] = {}
        self.fixed: Any = None

    def compile(self, sig: Any) -> Any:  # noqa: ANN401 - numba's own objects
        """Machine code for a signature: loaded, or compiled."""
        known = sigutils.normalize_signature(sig)[0] in self.overloads
        if not known and isinstance(self._cache, CodeCache) and not self._cache.has_overload(sig, self.targetctx):
            BESIDE.before(self)
        # The compiler makes millions of objects and no garbage worth a search: a tenth of its time.
        collecting = gc.isenabled()
        gc.disable()
        try:
            # LLVM's modules are let go of by finalisers, and the compiler is called back: a signal may meet either.
            with insisting():
                return super().compile(sig)
        finally:
            if collecting:
                gc.enable()

    def get_call_template(self, args: Any, kws: Any) -> Any:  # noqa: ANN401 - numba's own objects
        """How compiled code calls the function with arguments of such types."""
        pysig, args = self._compiler.fold_argument_types(args, kws)
        args = tuple(_handed_over(kind) for kind in args)
        name = self.py_func.__name__
        signatures = [self.part(args).signature]
        return typing.make_concrete_template(f"CallTemplate({name})", key=name, signatures=signatures), pysig, args, {}

    def get_overload(self, sig: Any) -> Any:  # noqa: ANN401 - numba's own objects
        """What stands for the part of a signature in numba's tables."""
        args, _ = sigutils.normalize_signature(sig)
        return self.parts[tuple(args), None].entry_point

    def part(self, args: tuple[Any, ...], return_type: Any = None) -> Any:  # noqa: ANN401 - numba's own objects
        """The part for arguments of such types: loaded, or compiled.

        Args:
            args: numba types.
            return_type: What it must return; None for what is inferred.
        """
        found = self.parts.get((args, return_type))
        if found is not None:
            return found
        with ExitStack() as scope:
            scope.enter_context(global_compiler_lock)
            scope.enter_context(self._compiling_counter)
            cache = self._cache if isinstance(self._cache, CodeCache) else None
            kept = cache.load_part(args, return_type, self.targetctx) if cache is not None else None
            made = self._of_kept(kept) if kept is not None else None
            if made is None:
                data = {"dispatcher": self, "args": args, "return_type": return_type}
                with event.trigger_event("numba:compile", data=data):
                    made = _compiled(self._compiler, PartLibrary, args, return_type)
                    made.library.finalize()
                if cache is not None and made.library.is_cachable:
                    cache.save_part(args, return_type, self.targetctx, self._to_keep(made))
            # Any key will do: nobody calls it, numba only looks it up.
            made = made._replace(entry_point=(self._uuid, args, return_type))
            self.targetctx.insert_user_function(made.entry_point, made.fndesc, [made.library])
            made.library.of = (self._uuid, args, return_type)
            self.parts[args, return_type] = made
        return made

    def _to_keep(self, made: Any) -> Part:  # noqa: ANN401 - numba's own object
        made.fndesc.typemap = made.fndesc.calltypes = None
        needs = tuple(library.of for library in made.library._linking_libraries)
        bitcode = made.library._final_module.as_bitcode()
        return Part(bitcode, needs, made.fndesc, made.environment, made.signature, made.reload_init)

    def _of_kept(self, kept: Part) -> Any:  # noqa: ANN401 - numba's own object
        """The part as `part` would have compiled it; None when something that it calls is not there."""
        needed = []
        for uuid, args, return_type in kept.needs:
            dispatcher = Dispatcher._memo.get(uuid)
            if not isinstance(dispatcher, Dispatcher):
                return None
            needed.append(dispatcher.part(args, return_type).library)
        library = PartLibrary(self.targetctx.codegen(), self.py_func.__qualname__)
        library._final_module = llvm.parse_bitcode(kept.bitcode)
        library._linking_libraries = needed
        library.finalize()
        return compiler.compile_result(
            typing_context=self.typingctx,
            target_context=self.targetctx,
            library=library,
            environment=kept.environment,
            fndesc=kept.fndesc,
            signature=kept.signature,
            objectmode=False,
            reload_init=kept.reload_init,
        )

    def _compile_for_args(self, *args: Any, **kws: Any) -> Any:  # noqa: ANN401 - whatever Python hands over
        if self.fixed is None:
            return super()._compile_for_args(*args, **kws)
        with global_compiler_lock:  # threads may make the first call at once
            if self._can_compile:
                self.compile(self.fixed)
                self.disable_compile()
            return self.overloads[tuple(sigutils.normalize_signature(self.fixed)[0])].entry_point
