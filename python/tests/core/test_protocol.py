"""PROTOCOL.md and the code's own tables say the same."""

from __future__ import annotations

import re

from core.frame_notation import ROOT

from viaduct.core.exchange import TABLE, Effect, State, Step, step
from viaduct.wire import limits
from viaduct.wire.errors import CODES
from viaduct.wire.frame import FIRST_OPTIONAL_KIND, FLAGS, HEADER, Header, Kind
from viaduct.wire.reasons import CLOSE_REASONS, FATES, REASONS

TEXT = (ROOT / "PROTOCOL.md").read_text(encoding="utf-8")
PLAIN = " ".join(TEXT.split())
LIMITS_TS = (ROOT / "src/wire/limits.ts").read_text(encoding="utf-8")


def table(header: str) -> list[list[str]]:
    """The rows of the table whose header line begins so."""
    lines = TEXT.splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(header))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line[1:-1].split("|")])
    return rows


def test_the_exchange_cell_by_cell() -> None:
    rows = table("| state | CALL↑")
    assert [row[0].strip("*") for row in rows] == list(TABLE)
    for name, *cells in rows:
        state = State[name.strip("*").upper()]
        for event, cell in zip(Step, cells, strict=True):
            following, effect = step(state, event)
            words = cell.replace("*", "").split(" · ")
            if words == ["violation"]:
                assert (following, effect) == (state, Effect.VIOLATION)
            else:
                assert following == State[words[0].upper()]
                assert effect == Effect[(words[1] if len(words) > 1 else "none").upper()]


def test_the_header() -> None:
    drawing = re.search(r"```\n.*?├([^\n]*)┤\n([^\n]*)\n```", TEXT, re.DOTALL)
    assert drawing is not None
    names = [re.sub(r"[─\s]", "", cell) for cell in drawing[1].split("┼")]
    ours = {"payload_bytes": "payloadBytes", "head_bytes": "headBytes", "time_left": "timeLeft"}
    ours["segments"] = "segs"
    assert names == [ours.get(name, name) for name in Header._fields]
    letters = {"8": "B", "16": "H", "32": "I"}
    widths = re.findall(r"u(8|16|32)", drawing[2])
    assert HEADER.format == "<" + "".join(letters[width] for width in widths)
    assert HEADER.size == limits.HEADER_BYTES


def test_flags() -> None:
    found: dict[str, int] = {}
    for bits, meaning, *_ in table("| bit | flag |"):
        name = re.match(r"[A-Z_]+|lane", meaning)
        assert name is not None
        first, _, last = bits.partition("–")
        mask = sum(1 << bit for bit in range(int(first), int(last or first) + 1))
        found[name[0].upper()] = mask
    assert found == FLAGS


def test_kinds() -> None:
    found: dict[str, int] = {}
    for cells in table("| kind | name | kind |"):
        for numbers, names in zip(cells[::2], cells[1::2], strict=True):
            plain = re.sub(r"\(.*\)", "", names)
            for number, name in zip(numbers.split("/"), plain.split("/"), strict=True):
                if number.strip():
                    found[name.strip()] = int(number, 16)
    assert found == {kind.name: kind.value for kind in Kind}
    assert f"Unknown kinds below {FIRST_OPTIONAL_KIND:#x} close the link" in PLAIN


def test_reasons() -> None:
    rows = table("| no | reason | code |")
    found = {name: (int(number), code) for number, name, code, *_ in rows}
    assert found == {name: reason[:2] for name, reason in REASONS.items()}


def test_codes_fates_and_reasons_of_closing() -> None:
    assert f"CANCELLED {CODES['CANCELLED']} … UNAUTHENTICATED {CODES['UNAUTHENTICATED']}" in PLAIN
    assert list(CODES.values()) == list(range(1, 17))
    assert f"({FATES['not-sent']} not-sent, {FATES['unknown']} unknown)" in PLAIN
    named = re.findall(r"\b(\d) ([A-Z]+_?[A-Z_]+)(?=[,.])", PLAIN)
    for number, reason in enumerate(CLOSE_REASONS):
        assert number == 0 or (str(number), reason) in named


def test_every_limit_is_the_one_of_the_other_language() -> None:
    factors = re.compile(r"export const ([A-Z_]+) = ([^\n]*)")
    for name, formula in factors.findall(LIMITS_TS):
        if hasattr(limits, name):
            value = eval(formula.replace("_000", "000"), {}, vars(limits))
            assert getattr(limits, name) == value, name
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT))
    ours = {name for name in named if f"export const {name}" in LIMITS_TS}
    assert ours <= set(vars(limits))
