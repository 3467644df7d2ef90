"""Settings of sphinx-gallery on which the other modules rely."""

SETTINGS = {
    # Every script runs (execute.py), and warnings are errors while it does
    "filename_pattern": r"\.py$",
    "reset_modules": ("matplotlib", "bilingual.warnings_as_errors.turn_warnings_into_errors"),
    "reset_modules_order": "before",
    # The last value of a cell is shown as Python does, not as a widget of its library
    "capture_repr": ("__repr__",),
    # Lessons are ordered by file name
    "within_subsection_order": "FileNameSortKey",
    # Imported names link to their documentation, and from there back to the lessons
    "backreferences_dir": "lessons/used",
    "inspect_global_variables": False,
    # Leave out what differs from build to build: addresses, times, archives
    "ignore_repr_types": "matplotlib|list|Generator",
    "show_signature": False,
    "min_reported_time": float("inf"),
    "write_computation_times": False,
    "download_all_examples": False,
}
