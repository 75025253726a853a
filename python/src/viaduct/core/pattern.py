"""Names that stand for many topics: ``pages.*`` and ``*``, besides ``pages.opened``."""

from __future__ import annotations


def is_name_or_pattern(name: str) -> bool:
    """Whether it is a name or a pattern: a star stands at the end, alone or behind a dot."""
    star = name.find("*")
    return name != "" and (star < 0 or name == "*" or (star == len(name) - 1 and name[-2] == "."))
