"""A model behind an OpenAI-compatible endpoint (vLLM, LMDeploy, llama.cpp, OpenAI …), asked many things at once.

The key comes from OPENAI_API_KEY and is never printed or stored; a server of one's own mostly needs none. Retries are
those of the `openai` package: 408, 409, 429 (its Retry-After is kept), 5xx, time-outs and dropped connections, with
growing, jittered pauses.
"""

import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from qwen_svg.common.errors import UserError

FAILED_IN_A_ROW = 20  # requests; then it is not the questions: stop, before a whole corpus is marked as failed
_THOUGHTS = re.compile(r"^\s*<think>.*?</think>", re.DOTALL)  # of models whose server does not take them off

Message = dict[str, Any]  # {"role": …, "content": …}, as in the chat completions API


class AskFailed(Exception):
    """One request brought no usable answer. The text is a reason that can be counted."""


class ChatEndpoint:
    """`ask` answers one conversation, `ask_all` many. Safe to share between threads."""

    def __init__(self, base_url: str, model: str, concurrency: int = 8, timeout: float = 120.0, retries: int = 5):
        """base_url: with its /v1. concurrency: requests at once. timeout: seconds for one try.

        Raises UserError when nobody answers there.
        """
        import openai

        if not base_url.startswith(("http://", "https://")):
            raise UserError(f"BASE_URL must be like http://localhost:8000/v1, not {base_url!r}.")
        if not model:
            raise UserError("MODEL is not given; name the model that the endpoint serves with `--model`.")
        self.base_url, self.model, self.concurrency = base_url, model, concurrency
        self._failures = 0  # in a row
        self._openai = openai
        self._client = openai.OpenAI(
            base_url=base_url, api_key=os.environ.get("OPENAI_API_KEY") or "none", timeout=timeout, max_retries=retries
        )
        try:
            self._client.with_options(timeout=10, max_retries=0).models.list()
        except openai.APIConnectionError:
            raise UserError(f"nobody answers at BASE_URL {base_url}; start the server, or mend the address.") from None
        except (openai.OpenAIError, ValueError):  # not every server lists its models; the first request shows more
            return

    def ask(
        self, messages: list[Message], temperature: float = 1.0, max_tokens: int = 4096, seed: int | None = None
    ) -> str:
        """Return the answer's text. Raises AskFailed, or UserError where asking on makes no sense."""
        try:
            # max_tokens, which OpenAI calls outdated, is the one that every server knows.
            reply = self._client.chat.completions.create(
                model=self.model, messages=messages, temperature=temperature, max_tokens=max_tokens, seed=seed
            )
            choice = reply.choices[0]
            text = _THOUGHTS.sub("", choice.message.content or "").strip()
        except self._openai.APIError as error:
            raise self._failure(error) from None
        except (AttributeError, IndexError, TypeError, ValueError):
            raise self._counted("the endpoint's answer is no chat completion") from None
        self._failures = 0
        if choice.finish_reason == "length":
            raise AskFailed("the answer was cut at its limit of tokens")
        if not text:
            raise AskFailed("the answer is empty")
        return text

    def ask_all(self, conversations: Iterable[list[Message]], **settings: Any) -> list[tuple[str, str]]:
        """Return (text, "") or ("", why not) for each conversation, in their order. settings: those of `ask`."""

        def one(messages: list[Message]) -> tuple[str, str]:
            try:
                return self.ask(messages, **settings), ""
            except AskFailed as failure:
                return "", str(failure)

        pool = ThreadPoolExecutor(self.concurrency)
        try:
            return list(pool.map(one, conversations))
        finally:
            pool.shutdown(cancel_futures=True)

    def _failure(self, error: Any) -> Exception:
        """Return what to raise for an error of the API: most cost one request, some end the run."""
        openai = self._openai
        if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
            return UserError(f"{self.base_url} refuses the key; set OPENAI_API_KEY in the environment.")
        if isinstance(error, openai.NotFoundError):
            return UserError(f"{self.base_url} does not serve {self.model!r} ({self._words(error)}); mend BASE_URL or "
                             "MODEL.")  # fmt: skip
        if isinstance(error, openai.APITimeoutError):
            return self._counted("the endpoint took too long")
        if isinstance(error, openai.APIStatusError):
            return self._counted(f"the endpoint answered {error.status_code}", self._words(error))
        return self._counted("the connection broke")

    def _counted(self, reason: str, details: str = "") -> Exception:
        self._failures += 1
        if self._failures < FAILED_IN_A_ROW:
            return AskFailed(reason)
        said = f" ({details})" if details else ""
        return UserError(
            f"{self._failures} requests to {self.base_url} failed in a row, the last because {reason}{said}; mend it "
            "and run the same command again, which goes on where this one stopped."
        )

    def _words(self, error: Any) -> str:
        """Return the beginning of the server's message, without the key should it be quoted there."""
        words = " ".join(str(error.message).split()).removeprefix(f"Error code: {error.status_code} - ")
        key = os.environ.get("OPENAI_API_KEY")
        return (words.replace(key, "…") if key else words)[:200]
