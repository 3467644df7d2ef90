"""In the box for those who learned it earlier: a link to the page on all that has changed."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.locale import _
from sphinx.transforms import SphinxTransform

from bilingual import shared_words, transform_priorities
from bilingual.folds import fold
from course.head import link

MORE = "More claims of this kind, each with a proof: {}"


class LinkFromBox(SphinxTransform):
    """Add the link below the code of the box, where notebooks and scripts do not repeat it."""

    default_priority = transform_priorities.LINK_FROM_BOX

    def apply(self, **kwargs: object) -> None:
        """Add a line to the box of this page, if it has one."""
        if not self.config.course_earlier_page:
            return
        for box in self.document.findall(fold):
            if box["kind"] == "earlier":
                before, after = _(MORE).split("{}")
                place = link(self.env, self.config.course_earlier_page)
                box += nodes.paragraph("", "", nodes.Text(before), place, nodes.Text(after))


def setup(app: Sphinx) -> None:
    """Register the setting, the words and the transform."""
    app.add_config_value("course_earlier_page", "", "env")
    shared_words.register(MORE)
    app.add_transform(LinkFromBox)
