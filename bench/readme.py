"""Puts what was measured into README.md, each kind of figures between markers of its own."""

import pathlib

README = pathlib.Path(__file__).resolve().parent.parent / "README.md"


def update(section, text):
    begin, end = f"<!-- {section}: begin -->", f"<!-- {section}: end -->"
    before, _, rest = README.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"README.md has no place for {section}")
    README.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
