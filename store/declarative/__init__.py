"""Declarative documents: a whole configuration as YAML or JSON, in Kong's format.

``text`` reads the text within bounds, ``document`` makes complete entities of it, ``export`` writes
entities as a document again. Nothing here touches a database: what is made is handed to the
authority as mutations, or, with ``database = off``, to the replica as a state.
"""
