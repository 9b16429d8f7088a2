"""``python -m node``: the same as the ``grapevine`` command."""

from node.cli import main

if __name__ == "__main__":
    main(prog_name="grapevine")
