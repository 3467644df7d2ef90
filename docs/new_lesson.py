"""Begin a lesson: `nox -s new-lesson -- PART/NN_name`.

It writes the script from docs/lesson_template.py, puts the lesson into the order of the book after
the last one of its part with a smaller number, and makes its catalogs. A new part gets a header.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import i18n  # noqa: E402

from course.order import ORDER  # noqa: E402

NAME = re.compile(r"[a-z][a-z_]*/\d\d_[a-z0-9_]+")
USAGE = 'name it PART/NN_name, such as "tensors/04_views": small letters, digits and _'
HEADER = "{title}\n{rule}\n\nSay in one or two sentences what this part is for.\n"


def place(order: list[str], name: str) -> str | None:
    """Return the lesson after which a new one belongs: none if it is the first of the book.

    >>> place(["a/01_one", "a/05_five", "b/01_one"], "a/03_three")
    'a/01_one'
    >>> place(["a/01_one", "b/01_one"], "c/01_one")
    'b/01_one'
    >>> place(["a/05_five", "b/05_five"], "b/01_one")
    'a/05_five'
    """
    part = name.partition("/")[0]
    same = [lesson for lesson in order if lesson.startswith(f"{part}/")]
    if not same:
        return order[-1] if order else None
    smaller = [lesson for lesson in same if lesson < name]
    if smaller:
        return smaller[-1]
    first = order.index(same[0])
    return order[first - 1] if first else None


def insert(text: str, order: list[str], name: str) -> str:
    """Add a lesson to the source of order.py."""
    after = place(order, name)
    before = f'    "{after}",\n' if after else "ORDER = [\n"
    return text.replace(before, f'{before}    "{name}",\n', 1)


def main(name: str) -> None:
    """Write what is new, and say what comes next."""
    root = HERE.parent
    script = root / f"examples/{name}.py"
    if not NAME.fullmatch(name):
        sys.exit(f"{name}: {USAGE}")
    if script.exists() or name in ORDER:
        sys.exit(f"examples/{name}.py:1: it is there already; choose another name")
    header = script.parent / "GALLERY_HEADER.rst"
    if not header.exists():
        script.parent.mkdir()
        title = script.parent.name.replace("_", " ").capitalize()
        header.write_text(HEADER.format(title=title, rule="=" * len(title)), "utf-8")
    shutil.copy(HERE / "lesson_template.py", script)
    order = HERE / "_ext/course/order.py"
    order.write_text(insert(order.read_text("utf-8"), ORDER, name), "utf-8")
    i18n.main([f"lessons/{name}", f"lessons/{script.parent.name}/index", "lessons/index"])
    print(f"\nWrite examples/{name}.py, then: nox -s check-lesson -- {name}")


if __name__ == "__main__":
    main(*sys.argv[1:] or sys.exit(f"nox -s new-lesson: {USAGE}"))
