"""JSON that somebody else may have written."""

import json
from typing import Any


def load_json(text: str | bytes) -> Any:
    """Content of a JSON text. Raises ValueError for anything else, and for lists in lists in lists
    that go deeper than Python does."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("is nested too deep") from error
