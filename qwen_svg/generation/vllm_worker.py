"""The process that draws by vLLM, in vLLM's own environment; qwen_svg/generation/vllm_engine.py starts it.

JSON lines over pipes: the arguments of `LLM`, answered with {} once it is loaded; then requests {"prompts", "settings",
"adapter"}, each answered with {"tokens"}. prompts: lists of token ids; settings: of `SamplingParams`, one for each;
adapter: [its number, its folder], or null. It ends when its stdin does.
"""

import json
import os
import sys


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the libraries print is no answer
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    llm = LLM(**json.loads(sys.stdin.readline()))
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        outputs = llm.generate(
            [{"prompt_token_ids": prompt} for prompt in asked["prompts"]],
            [SamplingParams(**settings) for settings in asked["settings"]],
            lora_request=LoRARequest("adapter", *asked["adapter"]) if asked["adapter"] else None,
        )
        tokens = [list(output.outputs[0].token_ids) for output in outputs]
        print(json.dumps({"tokens": tokens}), file=answers, flush=True)


if __name__ == "__main__":  # vLLM starts processes of its own
    main()
