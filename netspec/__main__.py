"""`python -m netspec`: the command line."""

from netspec.ui.cli import main

if __name__ == "__main__":
    main()
