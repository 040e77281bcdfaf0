"""`python -m seqapps` is `seqapps`."""

from seqapps.cli.main import main

if __name__ == "__main__":
    main()
