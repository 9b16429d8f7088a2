"""Inputs from outside under attack: ``make fuzz`` searches, ``make test`` replays what was found.

targets/        a module for each kind of input: what one input does, and what must then hold
corpus/NAME/    inputs of a target that together go every way that is known; named ones once
                broke something
target          what a target is
cutting         one input, in any pieces
__main__, report    the search, a process for each target; one: such a process (atheris)
"""
