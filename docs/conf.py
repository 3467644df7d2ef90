"""The site in one language; the others differ only in `-D language=…` (see build.py)."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

from bilingual import gallery  # noqa: E402
from bilingual.inventories import inventories  # noqa: E402
from course.order import LEVELS, NOT_YET, ORDER, parts  # noqa: E402

# The project
project = "PyTorch Handbook"
copyright = "the PyTorch Handbook authors, CC BY 4.0"
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "bilingual",
    "course",
    "looks",
    "publishing",
    "search",
]
exclude_patterns = ["_build", "_ext", "_static", "locale"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
html_math_renderer = "mathml"  # _ext/looks: neither scripts nor fonts
myst_update_mathjax = False
nitpicky = True
default_role = "literal"  # `name` in a docstring is code

# The languages, each by its code for Sphinx, folder, tag for browsers, and name
bilingual_languages = [("en", "en", "en", "English"), ("zh_CN", "zh", "zh-CN", "中文")]
bilingual_title_marks = {"zh_CN": "《》"}
bilingual_earlier = "If you learned PyTorch earlier"
bilingual_archives = "handbook"
language = "en"
locale_dirs = ["locale"]
gettext_compact = False
gettext_location = False

# The lessons
sphinx_gallery_conf = {
    **gallery.SETTINGS,
    "examples_dirs": "../examples",
    "gallery_dirs": "lessons",
    "subsection_order": [f"../examples/{part}" for part in parts()],
    "doc_module": ("handbook",),
    "reset_modules": (*gallery.SETTINGS["reset_modules"], "course.torch_warnings.ignore_hidden"),
    "image_scrapers": ("looks.drawing.scrape",),  # for light and for dark pages
}
bilingual_warm_up = "warm_up.py"
bilingual_packages = ["handbook"]  # and what else its lessons run again for
bilingual_distributions = ["torch", "torchvision", "numpy", "matplotlib"]
bilingual_run_files = ["_ext/looks/drawing.py", "_ext/looks/dark_colours.py", "warm_up.py"]
bilingual_run_files += ["_ext/course/torch_warnings.py"]
# One thread gives the same results on every machine, and does not slow down under load
bilingual_environment = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
bilingual_environment |= {"SOURCE_DATE_EPOCH": "1767225600"}
addresses = ["BASE_URL", "REPOSITORY", "BRANCH", "SITE_BRANCH"]
bilingual_reads_environment = [f"HANDBOOK_{name}" for name in addresses]
course_order = ORDER
course_not_yet = NOT_YET
course_levels = LEVELS
course_earlier_page = "errata"

# What a downloaded lesson installs: our wheel, and what it imports only when a name is used
downloads_package = ("torch-handbook", ["handbook", "digit_reader"])
downloads_python = ">=3.11,<3.15"  # torch has wheels for these, as the installation page says
downloads_needs = {
    "digit_reader": ["fastapi", "pandas", "pillow", "uvicorn"],
    "handbook.datasets.load_csv": ["pandas"],
    "handbook.datasets.load_image_folder": ["pillow"],
    "handbook.datasets.write_image_folder": ["pillow"],
    "handbook.plots": ["matplotlib"],
    "handbook.torchrun": ["cloudpickle"],
    "torch.onnx": ["onnx", "onnxscript"],
    "torch.utils.cpp_extension": ["ninja"],
    "torch.utils.tensorboard": ["tensorboard"],
}

# The API pages, and links to other documentation, which need no network
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_preprocess_types = True
types = """handbook.Batches handbook.datasets.Split matplotlib.axes.Axes
    matplotlib.figure.Figure pathlib.Path torch.Tensor torch.nn.Module torch.optim.Optimizer
    torch.optim.lr_scheduler.LRScheduler torch.utils.data.DataLoader"""
napoleon_type_aliases = {
    **{name.rpartition(".")[2]: f":class:`~{name}`" for name in types.split()},
    "nn.Module": ":class:`~torch.nn.Module`",
    "callable": ":class:`callable <collections.abc.Callable>`",
    "iterable": ":class:`iterable <collections.abc.Iterable>`",
    "path-like": ":class:`path-like <os.PathLike>`",
    "sequence": ":class:`sequence <collections.abc.Sequence>`",
}
intersphinx_mapping = inventories(HERE / "_ext", HERE / "_build" / "inventories")

# What readers search for under another name
search_synonyms = ["synonyms.txt", "terms.csv"]
search_aside = ["errata", "glossary"]  # have a line on nearly everything

# The look (templates in _templates, style in _static/custom.css)
html_theme = "pydata_sphinx_theme"
html_theme_options = {
    "navbar_start": ["home-link"],
    "navbar_persistent": ["search-open", "language-switch"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 9,  # all of them: a menu would need the theme's scripts
    "disable_search": True,  # the search is our own: _ext/search
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "footer_start": ["handbook-footer"],
    "pygments_light_style": "github-light-high-contrast",
    "pygments_dark_style": "github-dark",
    "footer_end": [],
}
single = [*sorted(page.stem for page in HERE.glob("*.md")), "search", "genindex"]
html_sidebars = {page: [] for page in single}
html_sidebars |= {"lessons/**": ["contents"], "api/**": ["contents"]}
html_title = "PyTorch Handbook"
html_favicon = "_static/favicon.svg"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_js_files = [("page.js", {"defer": "defer"})]
templates_path = ["_templates"]
html_copy_source = False
# Copy what a reader would type, without output and prompts
copybutton_selector = "div:not(.sphx-glr-script-out) > div.highlight > pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
html_show_sphinx = False
