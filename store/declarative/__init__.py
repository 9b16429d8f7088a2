"""Declarative documents: a whole configuration as YAML or JSON, in Kong's format.

``text`` reads the text within bounds, ``document`` makes complete entities of it, ``export`` writes
entities as a document again. With ``database = off`` what is made is handed to the replica as a
state. For a database, ``standing`` says what is there already, ``difference`` what a document
changes, and ``bring`` has it written. ``flattened`` tells what is wrong with one as a list.
"""
