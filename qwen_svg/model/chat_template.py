"""The prompt a model was trained with as a chat template, so that other programs ask it the way training did.

Bases have templates of their own: Qwen2.5's puts in a system message where none is given, and none holds this project's
instruction. The one written here is made from `prompt_template.format_prompt`, by asking it for two turns and cutting
the text at what was put in. A user's message is the description; one that is the whole instruction already is taken as
it is. Other roles (system, tool) are passed over: training had none.
"""

import json
from typing import Any

from prompt_template import TEMPLATE, build_prompt, end_of_turn, format_prompt

BEFORE, AFTER = TEMPLATE.split("{description}")
FIRST, ANSWER, SECOND = "first description", "<reasoning>r</reasoning><svg></svg>", "second description"


def trained_chat_template(tokenizer: Any, form: str, mark_answers: bool = False) -> str:
    """Return a Jinja template for `apply_chat_template`, llama.cpp and vLLM. form: of the prompt, "chat" or "raw".

    mark_answers: between transformers' `generation` tags, where trainers have their loss; llama.cpp knows no such tag.
    """
    two = format_prompt(tokenizer, SECOND, form, [(FIRST, ANSWER)])
    head, rest = two.split(build_prompt(FIRST), 1)
    to_answer, rest = rest.split(ANSWER, 1)
    between, turn = rest.split(build_prompt(SECOND), 1)  # from an answer to the next description; and behind that one
    lead = to_answer.removeprefix(turn)  # Llama's puts a space before an answer of the past
    assert to_answer == turn + lead, "this base's template writes the last turn in another way than the others"
    end, stop, _ = between.partition(end_of_turn(tokenizer))  # what an answer ends with
    end = end + stop if stop else ""
    tags = ("{%- generation -%}", "{%- endgeneration -%}") if mark_answers else ("", "")
    return _JINJA.format(
        open=tags[0],
        close=tags[1],
        head=json.dumps(head, ensure_ascii=False),
        between=json.dumps(between.removeprefix(end), ensure_ascii=False),
        start=json.dumps(BEFORE[: BEFORE.index("\n")], ensure_ascii=False),
        before=json.dumps(BEFORE, ensure_ascii=False),
        after=json.dumps(AFTER, ensure_ascii=False),
        turn=json.dumps(turn, ensure_ascii=False),
        lead=json.dumps(lead, ensure_ascii=False),
        end=json.dumps(end, ensure_ascii=False),
    )


# A turn's text is written when the next message shows that there is one: `pending` is what stands between.
_JINJA = """\
{{%- set state = namespace(pending={head}) -%}}
{{%- for message in messages -%}}
{{%- set content = message['content'] | trim if message['content'] is string else '' -%}}
{{%- if message['role'] == 'user' -%}}
{{{{- state.pending -}}}}
{{{{- content if content.startswith({start}) else {before} + content + {after} -}}}}
{{%- set state.pending = {turn} -%}}
{{%- elif message['role'] == 'assistant' -%}}
{{{{- state.pending + {lead} -}}}}{open}{{{{- content + {end} -}}}}{close}
{{%- set state.pending = {between} -%}}
{{%- endif -%}}
{{%- endfor -%}}
{{%- if add_generation_prompt -%}}{{{{- state.pending -}}}}{{%- endif -%}}"""
