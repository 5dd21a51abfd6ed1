"""What a command has done, in a line on standard output."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console


def tell(text: str, *files: Path | None, as_json: bool, quiet: bool) -> None:
    """``text → files``; nothing where JSON lines tell it, or where nobody wants to know."""
    if as_json or quiet:
        return
    names = ", ".join(str(file) for file in files if file is not None)
    Console(highlight=False).print(f"{text} → {names}", soft_wrap=True, markup=False)
