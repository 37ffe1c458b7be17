"""``python -m mmrace``: the command line without the console script."""

from mmrace.cli import main

if __name__ == "__main__":
    main()
