"""llama.cpp as far as decoding needs it: the weights of a .gguf file, and the scores of a batch of tokens.

xllamacpp has llama.cpp in its wheel, and of it shows Python a server, which gives no scores. The C functions of llama.h
are in the same file; the structures below are those of its build 11549, and `_api` refuses another layout.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from qwen_svg.common.errors import UserError
from qwen_svg.model.free_cores import FreeCores
from qwen_svg.model.gguf import write_gguf
from qwen_svg.model.gguf_lora import write_lora

int32, uint32, pointer, array = ctypes.c_int32, ctypes.c_uint32, ctypes.c_void_p, ctypes.POINTER


class _ModelParams(ctypes.Structure):
    _fields_ = [
        ("devices", pointer), ("tensor_buft_overrides", pointer), ("n_gpu_layers", int32), ("split_mode", int32),
        ("load_mode", int32), ("lazy_mode", int32), ("main_gpu", int32), ("tensor_split", pointer),
        ("progress_callback", pointer), ("progress_callback_user_data", pointer), ("kv_overrides", pointer),
        ("vocab_only", ctypes.c_bool), ("check_tensors", ctypes.c_bool), ("use_extra_bufts", ctypes.c_bool),
        ("no_host", ctypes.c_bool), ("no_alloc", ctypes.c_bool), ("load_mtp", ctypes.c_bool),
    ]  # fmt: skip


class _ContextParams(ctypes.Structure):
    _fields_ = [
        ("n_ctx", uint32), ("n_batch", uint32), ("n_ubatch", uint32), ("n_seq_max", uint32), ("n_rs_seq", uint32),
        ("n_outputs_max", uint32), ("n_outputs_max_per_seq", uint32), ("n_threads", int32), ("n_threads_batch", int32),
        ("ctx_type", int32), ("rope_scaling_type", int32), ("pooling_type", int32), ("attention_type", int32),
        ("flash_attn_type", int32), ("rope_freq_base", ctypes.c_float), ("rope_freq_scale", ctypes.c_float),
        ("yarn", ctypes.c_float * 4), ("yarn_orig_ctx", uint32), ("defrag_thold", ctypes.c_float),
        ("cb_eval", pointer), ("cb_eval_user_data", pointer), ("type_k", int32), ("type_v", int32),
        ("moe_cache_size", ctypes.c_size_t), ("abort_callback", pointer), ("abort_callback_data", pointer),
        ("embeddings", ctypes.c_bool), ("offload_kqv", ctypes.c_bool), ("no_perf", ctypes.c_bool),
        ("op_offload", ctypes.c_bool), ("swa_full", ctypes.c_bool), ("kv_unified", ctypes.c_bool),
        ("samplers", pointer), ("n_samplers", ctypes.c_size_t), ("ctx_other", pointer),
    ]  # fmt: skip


class _Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", int32), ("token", array(int32)), ("embd", pointer), ("pos", array(int32)),
        ("n_seq_id", array(int32)), ("seq_id", array(array(int32))), ("logits", array(ctypes.c_int8)),
    ]  # fmt: skip


_Abort = ctypes.CFUNCTYPE(ctypes.c_bool, pointer)
_Log = ctypes.CFUNCTYPE(None, int32, ctypes.c_char_p, pointer)
NEVER = _Abort()  # a null pointer: nothing is asked
FUNCTIONS = {  # by name: what it returns, and what it takes
    "llama_model_default_params": (_ModelParams,),
    "llama_context_default_params": (_ContextParams,),
    "llama_model_load_from_file": (pointer, ctypes.c_char_p, _ModelParams),
    "llama_model_get_vocab": (pointer, pointer),
    "llama_model_n_ctx_train": (int32, pointer),
    "llama_vocab_n_tokens": (int32, pointer),
    "llama_model_free": (None, pointer),
    "llama_adapter_lora_init": (pointer, pointer, ctypes.c_char_p),
    "llama_adapter_lora_free": (None, pointer),
    "llama_set_adapters_lora": (int32, pointer, array(pointer), ctypes.c_size_t, array(ctypes.c_float)),
    "llama_init_from_model": (pointer, pointer, _ContextParams),
    "llama_get_memory": (pointer, pointer),
    "llama_set_abort_callback": (None, pointer, _Abort, pointer),
    "llama_set_n_threads": (None, pointer, int32, int32),
    "llama_decode": (int32, pointer, _Batch),
    "llama_get_logits": (array(ctypes.c_float), pointer),
    "llama_memory_seq_rm": (ctypes.c_bool, pointer, int32, int32, int32),
    "llama_memory_seq_cp": (None, pointer, int32, int32, int32, int32),
    "llama_free": (None, pointer),
    "llama_log_set": (None, _Log, pointer),
}
ABORTED = 2  # of llama_decode
CACHE_TYPE = 1  # of keys and values, by ggml's numbers: 1 = float16, which is llama.cpp's own choice; 0 = float32
ERROR = 4  # of ggml_log_level


def is_installed() -> bool:
    return find_spec("xllamacpp") is not None


class Aborted(Exception):
    """Whoever was asked has said that the batch need not be computed."""


@cache
def _api() -> ctypes.CDLL:
    """Load llama.cpp's C functions. Raises UserError where its structures are others than are written here."""
    (file,) = Path(find_spec("xllamacpp").origin).parent.glob("xllamacpp.*")
    api = ctypes.CDLL(str(file))
    try:
        for name, (result, *arguments) in FUNCTIONS.items():
            function = getattr(api, name)
            function.restype, function.argtypes = result, arguments
        model, context = api.llama_model_default_params(), api.llama_context_default_params()
        known = (
            (model.n_gpu_layers, model.split_mode, model.load_mode, model.lazy_mode, model.use_extra_bufts),
            (context.n_ctx, context.n_batch, context.n_ubatch, context.n_seq_max, context.flash_attn_type),
            (*context.yarn, context.defrag_thold, context.type_k, context.type_v, context.offload_kqv),
        ) == ((-1, 1, -1, 1, True), (512, 2048, 512, 1, -1), (-1, -1, -1, -1, -1, 1, 1, True))
    except AttributeError:
        known = False
    if not known:
        raise UserError(
            "xllamacpp is another version than this project knows; `pip install -r requirements/llama_cpp.txt` brings "
            "the right one, or take `--engine transformers`."
        )
    api.llama_log_set(_listen, None)
    return api


_errors: list[str] = []  # that llama.cpp has logged while it loads


@_Log
def _listen(level: int, text: bytes, _: int | None) -> None:
    if level == ERROR:
        _errors.append(text.decode("utf-8", "replace").strip())


class Weights:
    """A .gguf file as llama.cpp has it: mapped, in the precision it was written in."""

    def __init__(self, path: Path, adapter: Path | None = None):
        """adapter: a folder; it is multiplied beside the weights. Raises UserError for what cannot be read."""
        self.api, self.adapter = _api(), None
        _errors.clear()
        self.pointer = self.api.llama_model_load_from_file(str(path).encode(), self.api.llama_model_default_params())
        _require(self.pointer, path)
        if adapter:
            with TemporaryDirectory() as folder:
                write_lora(file := Path(folder) / "adapter.gguf", str(path), adapter)
                self.adapter = self.api.llama_adapter_lora_init(self.pointer, str(file).encode())
            _require(self.adapter, adapter)
        self.vocabulary = self.api.llama_vocab_n_tokens(self.api.llama_model_get_vocab(self.pointer))
        self.positions = self.api.llama_model_n_ctx_train(self.pointer)

    def __del__(self):
        if getattr(self, "adapter", None):
            self.api.llama_adapter_lora_free(self.adapter)
        if getattr(self, "pointer", None):
            self.api.llama_model_free(self.pointer)


def _require(loaded: int | None, path: Path) -> None:
    if not loaded:
        reason = _errors[0] if _errors else "it does not say why"
        raise UserError(f"llama.cpp cannot load {path} ({reason}); try `--engine transformers`.")


def exported(model: Any, tokenizer: Any) -> Weights:
    """Return a model of transformers as llama.cpp would have its export in half precision.

    Raises UserError for one that no GGUF is written of.
    """
    with TemporaryDirectory() as folder:
        write_gguf(file := Path(folder) / "model.gguf", model, tokenizer, "model", "float16", {})
        return Weights(file)  # mapped, and so still there when its name is not


class Context:
    """Keys and values of several sequences, each with a store of its own."""

    def __init__(self, weights: Weights, sequences: int, cells: int, batch: int, threads: int):
        """cells: tokens that each sequence may have. batch: tokens of the largest `decode`. threads: at most.

        Raises MemoryError.
        """
        self.weights, self.api, self.cells, self.cores = weights, weights.api, cells, FreeCores(threads)
        params = self.api.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.n_batch, params.n_ubatch = cells * sequences, sequences, batch, batch
        params.n_threads = params.n_threads_batch = threads
        params.type_k = params.type_v = CACHE_TYPE
        self.pointer = self.api.llama_init_from_model(weights.pointer, params)
        if not self.pointer:
            raise MemoryError(f"llama.cpp has no room for the keys and values of {sequences} times {cells} tokens")
        if weights.adapter:
            self.api.llama_set_adapters_lora(self.pointer, (pointer * 1)(weights.adapter), 1, (ctypes.c_float * 1)(1.0))
        self.memory = self.api.llama_get_memory(self.pointer)
        self.tokens, self.positions, self.sequences = (np.empty(batch, np.int32) for _ in range(3))
        self.counts, self.scored = np.ones(batch, np.int32), np.empty(batch, np.int8)
        # Each token names its sequences by a list; ours have one each, and lie side by side.
        self.lists = self.sequences.ctypes.data + self.sequences.itemsize * np.arange(batch, dtype=np.uintp)

    def decode(
        self, tokens: list[int], positions: list[int], sequences: list[int], scored: list[bool],
        abort: Callable[[], bool] | None = None,
    ) -> np.ndarray:  # fmt: skip
        """Run a batch; return the scores behind the tokens that are `scored`, float32 (N, V), until the next call.

        abort: asked at every operation, from this thread; when it says yes, Aborted is raised. Raises RuntimeError
        where llama.cpp fails. Half a batch may be in the store then: remove its sequences.
        """
        n = len(tokens)
        self.tokens[:n], self.positions[:n], self.sequences[:n], self.scored[:n] = tokens, positions, sequences, scored
        batch = _Batch(n, *(_view(values, name) for values, name in (
            (self.tokens, "token"), (None, "embd"), (self.positions, "pos"), (self.counts, "n_seq_id"),
            (self.lists, "seq_id"), (self.scored, "logits"))))  # fmt: skip
        asked = _Abort(lambda _: abort()) if abort else NEVER
        self.api.llama_set_abort_callback(self.pointer, asked, None)
        threads = self.cores.count()
        self.api.llama_set_n_threads(self.pointer, threads, threads)
        status = self.api.llama_decode(self.pointer, batch)
        if status == ABORTED:
            raise Aborted
        if status:
            raise RuntimeError(f"llama.cpp: llama_decode says {status}")
        outputs = sum(scored)
        if not outputs:
            return np.empty((0, self.weights.vocabulary), np.float32)
        return np.ctypeslib.as_array(self.api.llama_get_logits(self.pointer), (outputs, self.weights.vocabulary))

    def copy(self, source: int, target: int, length: int) -> None:
        """Let `target` be the first so many tokens of `source`."""
        self.api.llama_memory_seq_cp(self.memory, source, target, -1, -1)
        self.api.llama_memory_seq_rm(self.memory, target, length, -1)

    def remove(self, sequence: int) -> None:
        self.api.llama_memory_seq_rm(self.memory, sequence, -1, -1)

    def __del__(self):
        if getattr(self, "pointer", None):
            self.api.llama_free(self.pointer)


def _view(values: np.ndarray | None, field: str) -> object:
    kind = dict(_Batch._fields_)[field]
    return ctypes.cast(values.ctypes.data, kind) if values is not None else None
