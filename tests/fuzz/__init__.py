"""Inputs from outside under attack: ``make fuzz`` searches, ``make test`` does again what it found.

Where to find what:

    targets/     a module for each kind of input: what one input does, and what must then hold
    corpus/      of each target, inputs that together go every way that is known; those with names
                 once broke something
    target       what a target is
    cutting      one input, in any pieces; messages: one of each kind that nodes send; client_side:
                 the proxy without sockets
    search       one search, in a process of its own (one, with atheris); __main__: all of them
"""
