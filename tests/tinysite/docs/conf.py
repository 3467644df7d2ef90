"""A miniature of the handbook's configuration, without its package and its theme."""

from bilingual import gallery

project = "Tiny"
extensions = ["myst_parser", "sphinx_gallery.gen_gallery", "bilingual", "course", "looks"]
exclude_patterns = ["_build", "locale"]
locale_dirs = ["locale"]
gettext_compact = False
html_theme = "basic"
html_math_renderer = "mathml"
html_context = {"base_url": ""}
html_use_index = False
bilingual_languages = [("en", "en", "en", "English"), ("zh_CN", "zh", "zh-CN", "中文")]
bilingual_title_marks = {"zh_CN": "《》"}
bilingual_earlier = "If you learned PyTorch earlier"
bilingual_archives = "tiny"
bilingual_environment = {"SOURCE_DATE_EPOCH": "1767225600"}
sphinx_gallery_conf = {
    **gallery.SETTINGS,
    "examples_dirs": "../examples",
    "gallery_dirs": "lessons",
    "image_scrapers": ("looks.drawing.scrape",),
}
course_order = ["part/01_first", "part/02_second"]
course_not_yet = ["part/02_second"]
course_levels = {"part": "Beginner"}
course_earlier_page = "glossary"
nitpick_ignore = [("py:func", "tiny.area")]
