"""The table of priorities agrees with Sphinx's own transforms, and every transform uses it."""

import ast
from pathlib import Path

from sphinx.transforms.i18n import Locale, PreserveTranslatableMessages

from bilingual import transform_priorities as ours

ROOT = Path(__file__).parents[1]
NOTED = PreserveTranslatableMessages.default_priority
REPLACED = Locale.default_priority


def test_messages_are_chosen_noted_checked_and_replaced_in_this_order():
    chosen = (ours.MARK_CODE_COMMENTS, ours.TRANSLATE_GALLERY_TEXT, ours.EXCLUDE_NUMBERS)
    assert max(chosen) < NOTED < ours.CHECK_COMPLETENESS < REPLACED
    assert min(ours.CHECK_MARKUP, ours.TRANSLATE_CODE_COMMENTS) > REPLACED
    assert ours.TRANSLATE_CODE_COMMENTS < ours.MOVE_ALT_TEXT < ours.FOLD_CODE
    assert ours.FOLD_CODE < ours.WRITE_DOWNLOADS < ours.ADD_LESSON_HEAD


def test_no_transform_has_a_bare_number():
    used = []
    for file in sorted((ROOT / "docs/_ext").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "default_priority":
                module, _, name = ast.unparse(node.value).partition(".")
                assert module == "transform_priorities", f"{file}: {ast.unparse(node)}"
                used.append(name)
    assert sorted(used) == sorted(name for name in vars(ours) if name.isupper())
