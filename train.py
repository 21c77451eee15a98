"""Train a policy: a thin door to ``maestro-gym train``."""

import sys

from maestro_gym.cli import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    main()
