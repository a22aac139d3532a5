"""llama.cpp on a GGUF file, for benchmarks.drawing: the greedy answer to a prompt, and when its tokens came.

python benchmarks/drawing_llama_cpp.py MODEL.gguf THREADS NEW_TOKENS < PROMPT_TOKENS.json
"""

import json
import sys
import time

import xllamacpp


def main(path: str, threads: int, new: int) -> None:
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx, params.n_parallel, params.ui, params.verbosity = 4096, 1, False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    asked = {"prompt": json.load(sys.stdin), "max_tokens": new, "temperature": 0, "stream": True}
    pieces: list[str] = []
    times: list[tuple[float, float]] = []

    def take(chunk: dict) -> None:
        if chunk["choices"] and chunk["choices"][0]["text"]:
            pieces.append(chunk["choices"][0]["text"])
            times.append((time.perf_counter(), time.process_time()))

    start = time.perf_counter(), time.process_time()
    server.handle_completions(asked, take)
    print(json.dumps({"text": "".join(pieces), "times": [[a - start[0], b - start[1]] for a, b in times]}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
