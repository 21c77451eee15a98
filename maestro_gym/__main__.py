"""``python -m maestro_gym VERB``: the command line, where its script is not on the path."""

from maestro_gym.cli import main

if __name__ == "__main__":
    main()
