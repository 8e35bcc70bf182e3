"""The name of `xtts.data.text` in version 0.1.0, kept for programs that import it."""

from xtts.data.text import Vocabulary, has_letters, normalise

__all__ = ["Vocabulary", "has_letters", "normalise"]
