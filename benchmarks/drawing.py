"""How soon and how fast does one drawing come? By each engine, `generate` of transformers, and llama.cpp's own server.

    python -m benchmarks.drawing [--json] [--threads=2] [MODEL.gguf]

The same prompt, greedy, NEW tokens. Time to the first token holds the reading of the prompt; tokens per second are of
those after it. CPU seconds per token too: they say more where others use the machine. llama.cpp, as engine and as the
server that xllamacpp makes of it, is left out where it is not installed; the table says how far each text is that of
transformers.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import torch

from benchmarks.measure import report
from prompt_template import format_prompt
from qwen_svg.generation.llama_cpp import is_installed
from qwen_svg.generation.llama_cpp_decoder import LlamaCppDecoder
from qwen_svg.generation.predictor import Predictor, Settings

NEW, DESCRIPTION = 64, "a blue circular button with power symbol"
Clock = list[tuple[float, float]]  # wall and CPU seconds since the start, at each token


def main() -> None:
    path = next((a for a in sys.argv[1:] if not a.startswith("-")), "models/SmolLM2-135M-Instruct.Q4_1.gguf")
    threads = int(next((a.partition("=")[2] for a in sys.argv if a.startswith("--threads=")), 2))
    torch.set_num_threads(threads)
    predictor = Predictor(path, slots=1, engine="transformers")
    tokenizer = predictor.tokenizer
    prompt = tokenizer(format_prompt(tokenizer, DESCRIPTION), add_special_tokens=False)["input_ids"]
    contenders: dict[str, Callable[[], tuple[str, Clock]]] = {
        "transformers generate": lambda: clocked(plain(predictor, prompt)),
        "Predictor, free": lambda: clocked(ours(predictor, free=True)),
        "Predictor, constrained": lambda: clocked(ours(predictor, free=False)),
    }
    if is_installed():
        by_llama_cpp = Predictor(path, slots=1, engine="llama.cpp")
        contenders |= {
            "Predictor, llama.cpp, free": lambda: clocked(ours(by_llama_cpp, free=True)),
            "Predictor, llama.cpp, constrained": lambda: clocked(ours(by_llama_cpp, free=False)),
            "llama.cpp's server": lambda: llama_cpp(path, threads, prompt),
        }
    figures = {}
    print(f"{len(prompt)} tokens of prompt, {threads} threads")
    print(f"{'':<36}{'first token':>12}{'tokens/s':>10}{'CPU s/token':>13}")
    for name, draw in contenders.items():
        if name.startswith("Predictor"):
            draw()  # warm: the grammar is compiled once …
            forget(by_llama_cpp if "llama.cpp" in name else predictor)  # … and the prompt is read again
        text, clock = draw()
        (first, cpu_first), (last, cpu_last) = clock[0], clock[-1]
        n = len(clock) - 1
        figures[name] = {
            "first_token_seconds": first,
            "first_token_cpu_seconds": cpu_first,
            "tokens_per_second": n / (last - first),
            "cpu_seconds_per_token": (cpu_last - cpu_first) / n,
            "text": text,
        }
        print(f"{name:<36}{first:>10.2f} s{n / (last - first):>10.1f}{(cpu_last - cpu_first) / n:>13.4f}")
    reference = figures["transformers generate"]["text"]
    for name, one in figures.items():
        same = next((i for i, (a, b) in enumerate(zip(one["text"], reference, strict=False)) if a != b), len(reference))
        print(f"{name}: the first {same} of {len(reference)} characters are those of transformers")
    report(figures)


def forget(predictor: Predictor) -> None:
    """Let the next prompt be read from its beginning."""
    if isinstance(predictor.engine.decoder, LlamaCppDecoder):
        predictor.engine.decoder.kept = []


def clocked(tokens: Iterator[str]) -> tuple[str, Clock]:
    start, text, clock = (time.perf_counter(), time.process_time()), "", []
    for piece in tokens:
        text += piece
        clock.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return text, clock


def ours(predictor: Predictor, free: bool) -> Iterator[str]:
    # The grammar wants room for a whole answer; NEW tokens of it are looked at.
    settings = Settings(free=free, max_new=NEW if free else 0)
    stream = predictor.stream(DESCRIPTION, settings)
    for _, piece in zip(range(NEW), stream, strict=False):
        if isinstance(piece, str):
            yield piece
    stream.close()


def plain(predictor: Predictor, prompt: list[int]) -> Iterator[str]:
    from threading import Thread

    from transformers import TextIteratorStreamer

    class EveryToken(TextIteratorStreamer):
        """The library's waits for whole words."""

        def put(self, value: torch.Tensor) -> None:
            if value.dim() == 1:  # not the prompt
                self.on_finalized_text(self.tokenizer.decode(value, skip_special_tokens=True))

        def end(self) -> None:
            self.on_finalized_text("", stream_end=True)

    streamer = EveryToken(predictor.tokenizer)
    asked = {"input_ids": torch.tensor([prompt]), "max_new_tokens": NEW, "do_sample": False, "streamer": streamer}
    worker = Thread(target=predictor.engine.model.generate, kwargs=asked)
    worker.start()
    yield from (piece for piece in streamer if piece)
    worker.join()


def llama_cpp(path: str, threads: int, prompt: list[int]) -> tuple[str, Clock]:
    command = [sys.executable, "benchmarks/drawing_llama_cpp.py", path, str(threads), str(NEW)]
    ran = subprocess.run(command, input=json.dumps(prompt), stdout=subprocess.PIPE, text=True, check=True)
    answer = json.loads(ran.stdout.splitlines()[-1])
    return answer["text"], [tuple(pair) for pair in answer["times"]]


if __name__ == "__main__":
    main()
