"""Pictures of runs, for people: one page of HTML that needs nothing else.

``svg`` and ``scales`` draw, ``curves``, ``bars`` and ``bands`` are the kinds of figures,
``recording`` looks at a world while it lives, ``page`` is the paper that all of it is on, and
``contents`` decides what is shown. A page says nothing of the time or the machine that it was made
on: one seed makes the same bytes everywhere.
"""
