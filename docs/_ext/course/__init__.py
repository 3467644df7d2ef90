"""The course: the order of the lessons, the form of each, and what the site says about them."""
