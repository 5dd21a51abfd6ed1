"""The plugin's strings: collected from the code into ``.ts`` files, compiled from there to ``.qm``.

    python -m qgis_plugin.translations     # bring the .ts files up to date; new strings are marked unfinished

Qt's own tools would do as well, but they are not everywhere that the plugin is packed, and a ``.qm`` file
is simple.
"""

from __future__ import annotations

import ast
import struct
import sys
import xml.etree.ElementTree as ET  # nosec B405 # reads this repository's own files
from pathlib import Path

PLUGIN = Path(__file__).resolve().parent / "cropseg"
CONTEXT = "cropseg"
TABLES = frozenset({"LABELS", "REMEDIES"})

MAGIC = bytes.fromhex("3cb86418caef9c95cd211cbf60a1bddd")
HASHES, MESSAGES = 0x42, 0x69
END, TRANSLATION, SOURCE, CONTEXT_TAG, COMMENT = 1, 3, 6, 7, 8


def collect(folder: Path = PLUGIN) -> list[str]:
    """Every text given to ``tr`` and every label of a table, in the order of files and lines, once.

    Raises
    ------
    ValueError
        If ``tr`` is given something that cannot be collected: neither a text nor an entry of a table.
    """
    texts: dict[str, None] = {}
    for path in sorted(folder.rglob("*.py")):
        if path.name == "translation.py":
            continue
        nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        calls = [node for node in nodes if isinstance(node, ast.Call) and _is_tr(node.func)]
        for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
            (argument,) = call.args
            if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                texts[argument.value] = None
            elif TABLES.isdisjoint(name.id for name in ast.walk(argument) if isinstance(name, ast.Name)):
                raise ValueError(
                    f"{path}:{call.lineno}: tr() needs a plain text, so that it can be collected"
                )
        texts.update(dict.fromkeys(text for node in nodes for text in _labels(node)))
    return list(texts)


def read_ts(path: Path) -> dict[str, str]:
    """Source text → translation; empty where it is missing or unfinished."""
    translated = {}
    for message in ET.parse(path).getroot().iter("message"):  # nosec B314 # as above
        target = message.find("translation")
        finished = target is not None and target.get("type") != "unfinished"
        translated[message.findtext("source", "")] = message.findtext("translation", "") if finished else ""
    return translated


def write_ts(path: Path, translated: dict[str, str], *, language: str) -> None:
    """Write a ``.ts`` file; empty translations are marked unfinished."""
    root = ET.Element("TS", version="2.1", language=language, sourcelanguage="en_GB")
    context = ET.SubElement(root, "context")
    ET.SubElement(context, "name").text = CONTEXT
    for source, target in translated.items():
        message = ET.SubElement(context, "message")
        ET.SubElement(message, "source").text = source
        element = ET.SubElement(message, "translation")
        element.text = target
        if not target:
            element.set("type", "unfinished")
    ET.indent(root, "  ")
    body = ET.tostring(root, encoding="unicode")
    path.write_text(f'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE TS>\n{body}\n', encoding="utf-8")


def compile_qm(translated: dict[str, str]) -> bytes:
    """A ``.qm`` file as QTranslator reads it.

    Two sections: the messages one after the other, and each source text's hash with the place of its message.
    Source: qttools, linguist/shared/qm.cpp, and qtbase, corelib/kernel/qtranslator.cpp.
    """
    messages, places = bytearray(), []
    for source, target in translated.items():
        if not target:
            continue
        places.append((elf_hash(source.encode()), len(messages)))
        messages += _field(TRANSLATION, target.encode("utf-16-be"))
        messages += _field(SOURCE, source.encode()) + _field(COMMENT, b"")
        messages += _field(CONTEXT_TAG, CONTEXT.encode()) + bytes([END])
    hashes = b"".join(struct.pack(">II", *place) for place in sorted(places))
    return MAGIC + _field(HASHES, hashes) + _field(MESSAGES, bytes(messages))


def elf_hash(text: bytes) -> int:
    """The hash of Unix's object files, 28 bits; never 0, which QTranslator keeps for itself."""
    value = 0
    for byte in text:
        value = (value << 4) + byte
        high = value & 0xF0000000
        value = (value ^ (high >> 24)) & ~high & 0xFFFFFFFF
    return value or 1


def _field(tag: int, content: bytes) -> bytes:
    return struct.pack(">BI", tag, len(content)) + content


def _is_tr(function: ast.expr) -> bool:
    """``tr`` or ``anything.tr``."""
    return getattr(function, "id", getattr(function, "attr", "")) == "tr"


def _labels(node: ast.AST) -> list[str]:
    """The values of a table of texts that code without Qt keeps for ``tr``."""
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    if TABLES.isdisjoint(getattr(target, "id", "") for target in targets):
        return []
    value = getattr(node, "value", None)
    values = value.values if isinstance(value, ast.Dict) else []
    return [item.value for item in values if isinstance(item, ast.Constant) and isinstance(item.value, str)]


def main() -> int:
    """Bring every ``.ts`` file up to date and say what is missing."""
    texts = collect()
    for path in sorted((PLUGIN / "i18n").glob("cropseg_*.ts")):
        known = read_ts(path)
        current = {text: known.get(text, "") for text in texts}
        write_ts(path, current, language=path.stem.removeprefix("cropseg_"))
        missing = [text for text, target in current.items() if not target]
        sys.stdout.write(f"{path.name}: {len(current)} texts, {len(missing)} not translated\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
