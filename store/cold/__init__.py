"""Look-ups of cold kinds in a worker: overlay, cache, file (DESIGN 7).

``reader`` has the rules, ``overlay`` and ``cache`` what it keeps, ``sqlite_file`` reads the file.
"""
