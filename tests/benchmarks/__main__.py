"""``python tests/benchmarks`` lists the benchmarks; each is a command of its own with ``--help``."""

import ast
from pathlib import Path


def main() -> None:
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text()
        if "def main(" in text and path != Path(__file__):
            doc = ast.get_docstring(ast.parse(text)) or ""
            print(f"tests/benchmarks/{path.name:18} {doc.splitlines()[0]}")


if __name__ == "__main__":
    main()
