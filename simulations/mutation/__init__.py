"""Automatic mutation: small mistakes made one at a time in a module's source, each of which some
test or some seed must notice.

``operators`` lists the mistakes that a source has room for, ``reach`` finds the tests that come by
a line, and ``hunt`` makes the mistakes in a copy of the tree. What survives is for a person to
judge (docs/mutation.md).
"""
