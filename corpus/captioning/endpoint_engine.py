"""Captions from a vision-language model behind an OpenAI-compatible endpoint; the picture goes along as a data URL."""

import base64
import io
from typing import Any

from corpus.chat_endpoint import ChatEndpoint, Message


class EndpointEngine:
    def __init__(self, endpoint: ChatEndpoint, temperature: float, max_new_tokens: int, seed: int):
        self.endpoint = endpoint
        self.settings = {"temperature": temperature, "max_tokens": max_new_tokens, "seed": seed}

    def captions(self, pictures: list[Any], prompts: list[str]) -> list[tuple[str, str]]:
        """Return (text, "") or ("", why not) for each pair. pictures: PIL images, RGB."""
        return self.endpoint.ask_all(map(_conversation, pictures, prompts), **self.settings)


def _conversation(picture: Any, prompt: str) -> list[Message]:
    file = io.BytesIO()
    picture.save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    return [
        {
            "role": "user",
            "content": [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": prompt}],
        }
    ]
