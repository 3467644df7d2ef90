"""When each transform runs among those of docutils and Sphinx: the lowest number runs first.

Sphinx notes the messages of a page at 10 and replaces them by their translations at 20.
"""

# Decide what is a message, before Sphinx notes it.
MARK_CODE_COMMENTS = 5
TRANSLATE_GALLERY_TEXT = 5
EXCLUDE_NUMBERS = 5


# Its own sentences are found by where their links stand, beside the thumbnails.
REPLACE_THUMBNAILS = 6

# All messages are noted, and none is replaced yet.
CHECK_COMPLETENESS = 15

# Sphinx has translated the prose, and leaves the comments to us.
CHECK_MARKUP = 21
TRANSLATE_CODE_COMMENTS = 21

# The links stand in their translated sentences, and none is added yet.
MARK_TITLES = 22

# The texts are translated, and still stand where the script has them.
MOVE_ALT_TEXT = 30

# The alt texts are gone, so only code, output and figures follow a fold.
FOLD_CODE = 31

# The page holds what a notebook shows, and nothing that only the site says.
WRITE_DOWNLOADS = 32

# Nothing that is added from here on is a message.
ADD_LESSON_HEAD = 33

# The boxes stand where they will be shown, and the links are no messages of the page.
LINK_FROM_BOX = 34
LINK_TO_PROJECT = 34
