"""A miniature of the handbook's configuration, without its package and its theme."""

project = "Tiny"
extensions = ["myst_parser", "sphinx_gallery.gen_gallery", "bilingual"]
exclude_patterns = ["_build", "locale"]
locale_dirs = ["locale"]
gettext_compact = False
html_theme = "basic"
html_context = {"base_url": ""}
html_use_index = False
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "lessons",
    "backreferences_dir": "lessons/used",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "parallel": 2,
    "reset_modules": ("matplotlib", "bilingual.strict.warnings_are_errors"),
    "reset_modules_order": "both",
    "ignore_repr_types": "matplotlib|list",
    "inspect_global_variables": False,
    "show_signature": False,
    "min_reported_time": float("inf"),
    "write_computation_times": False,
    "download_all_examples": False,
}
nitpick_ignore = [("py:func", "tiny.area")]
