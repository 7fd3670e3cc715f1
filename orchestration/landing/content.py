"""What is content (prompts, completions, arguments, commands) and stays out, told by its name."""

import re
from typing import Any

# Text under a name that ends so is content; numbers never are.
CONTENT_WORDS = {
    "args", "arguments", "body", "choices", "command", "commands", "completion", "completions",
    "content", "contents", "definitions", "description", "input", "inputs", "instructions", "line",
    "message", "messages", "msg", "output", "outputs", "parameters", "params", "prompt", "prompts",
    "query", "reasoning", "response", "responses", "result", "results", "schema", "stderr", "stdin",
    "stdout", "system", "text", "thinking", "thought", "thoughts", "value",
}  # fmt: skip
# In telemetry also what instrumentations put their clients' data under: as the last word of a name,
# and anywhere in it.
TELEMETRY_WORDS = {
    "backstory", "call", "calls", "context", "documents", "error", "events", "exception", "goal",
    "json", "metadata", "object", "path", "paths", "preview", "stacktrace", "tasks", "template",
    "tools", "values", "variables",
}  # fmt: skip
TELEMETRY_WORDS_ANYWHERE = {"argument", "args", "arguments", "parameters", "template"}
LONGEST_TEXT = 256
# Whatever its name, a text of more words is a sentence that somebody or a model wrote.
MOST_WORDS = 4


def is_content_name(name: str) -> bool:
    """Whether text under this name is content, by the last word of the name."""
    return _words(name)[-1] in CONTENT_WORDS


def is_telemetry_content(name: str, text: str) -> bool:
    """Whether a text of telemetry under a name that no seed knows is content; JSON always is."""
    words = _words(name)
    return (
        is_content(name, text)
        or words[-1] in TELEMETRY_WORDS
        or not TELEMETRY_WORDS_ANYWHERE.isdisjoint(words)
        or text.lstrip().startswith(("{", "["))
    )


def _words(name: str) -> list[str]:
    return re.split(r"[._\-\s]", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())


def is_content(name: str, text: str) -> bool:
    """Whether a text is content, by its name or by its looks."""
    return is_content_name(name) or looks_like_content(text)


def looks_like_content(text: str) -> bool:
    """Whether a text is long, or of more words than a name has."""
    return len(text) > LONGEST_TEXT or len(text.split()) > MOST_WORDS


def without_content(value: Any) -> Any:
    """A JSON value without the members that hold content, however deep they lie."""
    if isinstance(value, dict):
        return {
            name: without_content(item)
            for name, item in value.items()
            if isinstance(item, (bool, int, float)) or not is_content_name(name)
        }
    if isinstance(value, list):
        return [without_content(item) for item in value]
    return value
